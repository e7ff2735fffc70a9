"""Weights that were shared, coded and written come back bit for bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiny_nets import answers, tiny_net
from tests.support.tiny_training import tiny_recipe
from training.compression.archive.kmeans import share_weights
from training.compression.archive.run import pack, unpack
from training.compression.archive.tensors import SharedTensor
from training.compression.pruning.channels import prune_channels
from training.compression.pruning.importance import IMPORTANCE
from training.compression.pruning.masks import prune_global
from training.errors import TrainingError
from training.models.shapes import shapes_of
from training.models.spec import ModelSpec
from training.run_folder import load_model, write_untrained

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was pruned both ways."""
    folder = tmp_path_factory.mktemp("run")
    model = tiny_net()
    widths = {"encoder._blocks.4._depthwise_conv": 8}
    prune_channels(model, widths, IMPORTANCE["magnitude"](), (32, 64))
    prune_global(model, 0.6)
    tasks = ("segmentation", "detection")
    spec = ModelSpec(pretrained=False, tasks=tasks, width_multiplier=0.25, decoder_width=16)
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


@settings(max_examples=200, deadline=None)
@given(layers())
@example(np.array([0, 0, 3], np.float32))
@example(np.array([0, 1, 0, 2, 0, 3], np.float32))
@example(np.zeros(5, np.float32))
@example(np.full(5, 2, np.float32))
def test_a_layer_of_few_distinct_values_comes_back_exactly(weights: NDArray[np.float32]) -> None:
    assert np.array_equal(SharedTensor.of(weights, 8).weights(), weights)


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


def test_damaged_archives_are_refused(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.dpa"
    pack(run, path, 4)
    whole = path.read_bytes()
    for content in (whole[:-10], whole[:-1] + bytes([whole[-1] ^ 1]), whole[:20]):
        path.write_bytes(content)
        with pytest.raises(TrainingError, match="damaged"):
            unpack(path, tmp_path / "out")
    path.write_bytes(b"PK")
    with pytest.raises(TrainingError, match="no archive"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
