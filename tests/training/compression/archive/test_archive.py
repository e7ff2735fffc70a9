"""Weights that were shared, coded and written come back bit for bit."""

import contextlib
import errno
import hashlib
import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiny_nets import answers, tiny_net
from tests.support.tiny_training import own_classes, tiny_recipe
from training.compression.archive.file import MAGIC
from training.compression.archive.kmeans import share_weights
from training.compression.archive.run import pack, unpack
from training.compression.archive.tensors import SharedTensor, Stream
from training.compression.pruning.channels import prune_channels
from training.compression.pruning.importance import IMPORTANCE
from training.compression.pruning.masks import prune_global
from training.data.class_sets import class_set
from training.errors import TrainingError
from training.models.shapes import shapes_of
from training.models.spec import FpnSpec, ModelSpec
from training.run_folder import load_model, write_untrained

RNG = np.random.default_rng(0)
HEAD = len(MAGIC) + 32 + 4  # magic, SHA-256, length of the header


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was pruned both ways."""
    folder = tmp_path_factory.mktemp("run")
    model = tiny_net()
    widths = {"encoder._blocks.4._depthwise_conv": 8}
    prune_channels(model, widths, IMPORTANCE["magnitude"](), (32, 64))
    prune_global(model, 0.6)
    tasks = ("segmentation", "detection")
    spec = ModelSpec(pretrained=False, tasks=tasks, width_multiplier=0.25, decoder=FpnSpec(width=16))
    write_untrained(folder, tiny_recipe(folder, folder, model=spec), model, shapes_of(model))
    return folder


def test_k_means_has_settled() -> None:
    values = RNG.normal(size=5000).astype(np.float32)
    codebook, places = share_weights(values, 16)
    assert len(codebook) == 16
    distance = np.abs(values[:, None] - codebook[None])
    assert np.allclose(distance[np.arange(5000), places], distance.min(1))  # each has its nearest entry
    means = [values[places == index].mean() for index in range(16)]
    assert np.allclose(codebook, means, atol=1e-3)  # each entry is the mean of its values


def test_few_distinct_values_are_kept_as_they_are() -> None:
    values = RNG.choice(np.array([-1.5, 0.25, 7], np.float32), 100)
    codebook, places = share_weights(values, 16)
    assert np.array_equal(codebook[places], values)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.999, 1.0])
def test_a_layer_comes_back_with_its_zeros_and_nothing_else_zero(zeros: float) -> None:
    weights = RNG.normal(size=(40, 25, 3, 3)).astype(np.float32)
    weights[RNG.random(weights.shape) < zeros] = 0
    tensor = SharedTensor.of(weights, 4)
    back: NDArray[np.float32] = tensor.weights().reshape(weights.shape)
    assert np.array_equal(back == 0, weights == 0)
    assert len(np.unique(back[back != 0])) <= 16
    again = SharedTensor.of(back, 4).weights().reshape(weights.shape)
    assert np.array_equal(again, back)  # shared weights are a fixed point: the round trip is exact


def layers() -> st.SearchStrategy[NDArray[np.float32]]:
    """Few values and zeros in any order, the same repeated, and one value somewhere among zeros."""
    values = st.lists(st.sampled_from([0, 0, 0, 1, -2.5, 7]), min_size=1, max_size=12)
    repeated = st.builds(list.__mul__, values, st.integers(1, 60))
    zeros = st.integers(0, 600).map(lambda count: [0] * count)
    survivor = st.builds(lambda before, after: [*before, 3, *after], zeros, zeros)
    return (values | repeated | survivor).map(lambda found: np.array(found, np.float32))


@settings(max_examples=200)
@given(layers())
@example(np.array([0, 0, 3], np.float32))
@example(np.array([0, 1, 0, 2, 0, 3], np.float32))
@example(np.zeros(5, np.float32))
@example(np.full(5, 2, np.float32))
def test_a_layer_of_few_distinct_values_comes_back_exactly(weights: NDArray[np.float32]) -> None:
    assert np.array_equal(SharedTensor.of(weights, 8).weights(), weights)


@pytest.mark.parametrize("gaps", [None, [0, 1, 0]])
def test_one_weight_is_not_spread_over_the_places_of_others(gaps: list[int] | None) -> None:
    one = Stream.of(np.array([0], np.uint8), 1)
    others = None if gaps is None else Stream.of(np.array(gaps, np.uint8), 256)
    with pytest.raises(ValueError, match="1 weights for"):
        SharedTensor(6, np.array([2], np.float32), one, others).weights()


def test_unpacked_run_loads_and_packs_to_the_same_weights_again(run: Path, tmp_path: Path) -> None:
    packed = pack(run, tmp_path / "a.dpa", 5)
    unpack(tmp_path / "a.dpa", tmp_path / "a")
    pack(tmp_path / "a", tmp_path / "b.dpa", 5)
    unpack(tmp_path / "b.dpa", tmp_path / "b")
    (_, before), (_, first), (_, second) = (load_model(f) for f in (run, tmp_path / "a", tmp_path / "b"))
    for (name, one), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    norm = "encoder._bn0.running_mean"
    assert torch.equal(before.state_dict()[norm], first.state_dict()[norm])  # what is not shared is exact
    assert len(answers(first)) == 3
    assert packed.archive_bytes == (tmp_path / "a.dpa").stat().st_size
    floats = sum(v.numel() for v in before.state_dict().values() if v.is_floating_point())
    assert packed.ratio == pytest.approx(4 * floats / packed.archive_bytes)
    assert packed.ratio > 4


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive."""
    path = tmp_path_factory.mktemp("whole") / "a.dpa"
    pack(run, path, 4)
    return path.read_bytes()


def refused(content: bytes, folder: Path, why: str = "") -> None:
    path, out = folder / "a.dpa", folder / "out"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"a\.dpa .*{why}"):
        unpack(path, out)
    assert not out.exists()


def test_what_is_no_archive_of_this_version_is_refused(whole: bytes, tmp_path: Path) -> None:
    for content in (b"", b"PK", whole.replace(b"DPARCHIVE2", b"DPARCHIVE1", 1)):
        refused(content, tmp_path, "no archive")


def test_archives_cut_short_anywhere_are_refused(whole: bytes, tmp_path: Path) -> None:
    for length in (*range(len(MAGIC), 60), *range(60, len(whole), len(whole) // 100), len(whole) - 1):
        refused(whole[:length], tmp_path, "cut short or damaged")


def test_a_bit_that_flipped_in_header_or_payload_is_noticed(whole: bytes, tmp_path: Path) -> None:
    header = HEAD + struct.unpack_from("<I", whole, HEAD - 4)[0]
    places = (
        *range(len(MAGIC), HEAD),
        *RNG.integers(HEAD, header, 200),
        *RNG.integers(header, len(whole), 50),
    )
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << RNG.integers(8)
        refused(bytes(damaged), tmp_path, "cut short or damaged")


def made_up(whole: bytes, header: object, payload: bytes | None = None) -> bytes:
    """An archive with another header, or payload, and a SHA-256 that is right."""
    text = json.dumps(header).encode()
    rest = whole[HEAD + struct.unpack_from("<I", whole, HEAD - 4)[0] :] if payload is None else payload
    content = struct.pack("<I", len(text)) + text + rest
    return MAGIC + hashlib.sha256(content).digest() + content


def header_of(whole: bytes) -> dict[str, Any]:
    return json.loads(whole[HEAD : HEAD + struct.unpack_from("<I", whole, HEAD - 4)[0]])


SHARED, LARGE = ("tensors", 0, "shared"), 3_000_000_000  # the first tensor is a convolution's weight


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((*SHARED, "codebook"), LARGE),
        ((*SHARED, "codebook"), 0),
        ((*SHARED, "codebook"), -1),
        ((*SHARED, "streams"), []),
        ((*SHARED, "streams", 0, 0), LARGE),
        ((*SHARED, "streams", 0, 1), LARGE),
        ((*SHARED, "streams", 0, 1), 1),
        ((*SHARED, "streams", 1, 1), 1),
        ((*SHARED, "streams", 0, 1), -1),
        ((*SHARED, "streams", 0, 2), LARGE),
        ((*SHARED, "streams", 0, 2), 0.5),
        ((*SHARED, "streams", 0), None),
        (SHARED, {}),
        (("tensors", 0, "name"), "other"),
        (("tensors", 0, "shape"), [LARGE]),
        (("tensors", 0, "shape", 0), -1),
        (("tensors", 0, "dtype"), "<f8"),
        (("tensors", 0, "dtype"), "|O"),
        (("tensors",), []),
        (("tensors",), 3),
        (("recipe", "model", "width_multiplier"), 0.1),
        (("recipe", "model", "encoder"), "other"),
        (("recipe", "data", "class_set"), "other"),
        (("recipe",), None),
        (("shapes",), None),
        (("shapes",), []),
        (("shapes", "encoder._bn0"), [-1]),
        (("shapes", "encoder._bn0"), [LARGE]),
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_payload_or_network_is_refused_in_little_memory(
    place: tuple[str | int, ...], value: object, whole: bytes, tmp_path: Path
) -> None:
    header = header_of(whole)
    inner: Any = header
    for step in place[:-1]:
        inner = inner[step]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    tracemalloc.start()
    try:
        refused(made_up(whole, header), tmp_path, "does not hold")
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("header", [3, [], {}, {"recipe": {}, "tensors": []}], ids=str)
def test_a_header_of_another_kind_is_refused(header: object, whole: bytes, tmp_path: Path) -> None:
    refused(made_up(whole, header), tmp_path, "does not hold")


def test_a_payload_that_is_shorter_than_its_header_says_is_refused(whole: bytes, tmp_path: Path) -> None:
    header = header_of(whole)
    payload = whole[HEAD + len(json.dumps(header)) :]
    for length in (0, 100, len(payload) - 1):
        refused(made_up(whole, header, payload[:length]), tmp_path, "shorter than the header says")


def test_a_header_made_up_bit_by_bit_never_ends_in_another_error(whole: bytes, tmp_path: Path) -> None:
    text = json.dumps(header_of(whole)).encode()
    payload = whole[HEAD + len(text) :]
    for number in range(100):
        changed = bytearray(text)
        changed[RNG.integers(len(text))] ^= 1 << RNG.integers(8)
        content = struct.pack("<I", len(changed)) + changed + payload
        (tmp_path / "a.dpa").write_bytes(MAGIC + hashlib.sha256(content).digest() + content)
        with contextlib.suppress(TrainingError):
            unpack(tmp_path / "a.dpa", tmp_path / str(number))


def test_classes_of_ones_own_come_along(run: Path, tmp_path: Path) -> None:
    recipe, model = load_model(run)
    file = own_classes(tmp_path / "mine.yaml")
    data = recipe.data.model_copy(update={"class_set": str(file)})
    write_untrained(tmp_path / "run", recipe.model_copy(update={"data": data}), model, shapes_of(model))
    pack(tmp_path / "run", tmp_path / "a.dpa", 4)
    names = class_set(str(file)).names
    file.unlink()  # as on another machine
    unpack(tmp_path / "a.dpa", tmp_path / "unpacked")
    recipe, _ = load_model(tmp_path / "unpacked")
    assert class_set(recipe.data.class_set).names == names
    assert "heaven" in names


def test_only_an_archive_is_written_over_and_that_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, old = tmp_path / "recipe.yaml", tmp_path / "old.dpa"
    mine.write_text("name: mine\n")
    for path in (mine, tmp_path):
        with pytest.raises(TrainingError, match="is there and is no archive: choose another name"):
            pack(run, path, 4)
    assert mine.read_text() == "name: mine\n"
    old.write_bytes(b"DPARCHIVE1\nof an earlier version")
    assert not capsys.readouterr().err
    pack(run, old, 4)
    assert f"replaces the archive {old}" in capsys.readouterr().err
    unpack(old, tmp_path / "run")


def test_an_archive_that_cannot_be_written_leaves_the_one_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot write archive .*/file/a\.dpa: .*choose another place"):
        pack(run, tmp_path / "file" / "a.dpa", 4)
    path = tmp_path / "a.dpa"
    pack(run, path, 4)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match=r"cannot write archive .*/a\.dpa: No space left.* free some"):
        pack(run, path, 5)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.dpa", "file"]
