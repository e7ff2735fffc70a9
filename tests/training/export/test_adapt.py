"""Bundles made to a vehicle's measure give what the original gives, in every engine."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import EngineSettings, available_engines, open_engine
from distill_perception.errors import BundleError
from distill_perception.manifest import read_manifest, write_manifest
from distill_perception.perceptor import Frame, Perception, Perceptor
from distill_perception.share import share_path
from tests.support.tiny_bundle import write_tiny_bundle
from training.data.synthetic.render import render_drive
from training.errors import TrainingError
from training.export import adapt as adapting
from training.export import forms
from training.export.adapt import adapt

# Model input is 48x64. Larger by a whole and by a broken number, smaller, other proportions, odd sides.
CAMERAS = [(96, 128), (120, 160), (36, 48), (100, 300), (301, 131)]

SHIPPED_GATE = adapting.MIN_MASKS


@pytest.fixture(autouse=True)
def _gate_knows_the_tiny_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class is the largest channel: on the gate's greyish frames a single grey level decides."""
    monkeypatch.setattr(adapting, "MIN_MASKS", 0.9)


@pytest.fixture(autouse=True, scope="module")
def _frames_of_the_gate_are_rendered_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapting, "render_drive", cache(lambda settings: tuple(render_drive(settings))))
        yield


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "b", ("segmentation", "detection"), confidence_stride=4))


def picture(size: tuple[int, int]) -> np.ndarray:
    """Blocks of pure colour, uint8 [H,W,3]: resizing leaves no doubt about them but at their edges."""
    blocks = np.random.default_rng(1).integers(0, 3, (4, 4))
    ids = blocks.repeat(-(-size[0] // 4), 0).repeat(-(-size[1] // 4), 1)
    return (np.eye(3, dtype=np.uint8) * 255)[ids[: size[0], : size[1]]]


def see(bundle: Bundle, engine: str, frames: list[np.ndarray]) -> list[Perception]:
    opened = open_engine(bundle, engine, EngineSettings(max_batch=len(frames)))
    perceptor = Perceptor(bundle, opened, score_threshold=0.0)
    seen = perceptor.perceive([Frame(frame) for frame in frames], want_confidence=True)
    perceptor.close()
    return seen


@pytest.mark.parametrize("rule", ["letterbox", "stretch"])
@pytest.mark.parametrize("camera", CAMERAS)
def test_camera_pixels_in_camera_pixels_out(tmp_path: Path, camera: tuple[int, int], rule: str) -> None:
    original = load_bundle(
        write_tiny_bundle(tmp_path / "b", ("segmentation", "detection"), resize=rule, confidence_stride=4)
    )
    adapt(original, tmp_path / "adapted", camera)
    adapted = load_bundle(tmp_path / "adapted")
    assert (adapted.manifest.input.height, adapted.manifest.input.width) == camera
    for engine in available_engines():
        (found,), (expected,) = (see(item, engine, [picture(camera)]) for item in (adapted, original))
        assert found.mask is not None, engine
        assert found.confidence is not None, engine
        assert found.mask.shape == camera, engine
        assert (found.mask == expected.mask).mean() > 0.995, engine
        assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 2, engine
        for one, other in zip(found.detections, expected.detections, strict=True):
            assert one.box == pytest.approx(other.box, abs=1e-2), engine
            assert (one.label, one.score) == (other.label, other.score), engine


def test_the_shipped_bundle_can_be_adapted_in_every_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "MIN_MASKS", SHIPPED_GATE)
    shipped = load_bundle(share_path("models", "camvid_lite0"))
    results = adapt(shipped, tmp_path / "front", (720, 1280), batch=2)
    assert {result.engine.split()[0] for result in results} == set(shipped.manifest.precisions)
    wide = [result for result in results if result.engine.startswith(("fp32", "fp16"))]
    assert min(result.mask_agreement or 0 for result in wide) > 0.99
    assert min(result.box_agreement or 0 for result in wide) > 0.9


def test_a_precision_that_no_engine_here_can_run_is_not_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "engines_by_precision", lambda bundle, device: [])
    with pytest.raises(TrainingError, match="fp32: no engine here can run it"):
        adapt(bundle, tmp_path / "two", batch=2)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_fixed_batch_takes_any_number_in_turns(bundle: Bundle, tmp_path: Path, frames: int) -> None:
    adapt(bundle, tmp_path / "two", batch=2)
    two = load_bundle(tmp_path / "two")
    pictures = [np.roll(picture((48, 64)), index * 9, axis=1) for index in range(frames)]
    for engine in available_engines():
        for one, other in zip(see(two, engine, pictures), see(bundle, engine, pictures), strict=True):
            np.testing.assert_array_equal(one.mask, other.mask, engine)
            np.testing.assert_array_equal(one.confidence, other.confidence, engine)
            assert one.detections == other.detections, engine


def test_a_manifest_that_hides_the_fixed_batch_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    adapt(bundle, tmp_path / "two", batch=2)
    manifest = read_manifest(tmp_path / "two" / "manifest.yaml")
    hidden = manifest.input.model_copy(update={"batch": None})
    write_manifest(tmp_path / "two", manifest.model_copy(update={"input": hidden}))
    with pytest.raises(BundleError, match=r"fixed batch size 2, the manifest's input.batch says any"):
        open_engine(load_bundle(tmp_path / "two"), "onnxruntime")


def test_answers_that_part_leave_nothing_behind(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "PAD_VALUE", 0)  # the runtime fills borders with grey
    monkeypatch.setattr(adapting, "_nearest", lambda size, start, length: np.zeros(size, np.int64))
    with pytest.raises(TrainingError, match=r"masks agree with the original's to .* nothing was written"):
        adapt(bundle, tmp_path / "out" / "adapted", (96, 128))
    assert not list((tmp_path / "out").iterdir())


def test_nothing_to_do_is_said(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="give a camera size, a batch, or both"):
        adapt(bundle, tmp_path / "same")
    adapt(bundle, tmp_path / "one", batch=1)
    with pytest.raises(TrainingError, match="has a fixed batch already"):
        adapt(load_bundle(tmp_path / "one"), tmp_path / "two", batch=2)


def test_a_camera_is_adapted_to_once(bundle: Bundle, tmp_path: Path) -> None:
    adapt(bundle, tmp_path / "front", (96, 128))
    assert "adapted from tiny" in load_bundle(tmp_path / "front").manifest.description
    with pytest.raises(TrainingError, match="takes camera pixels already"):
        adapt(load_bundle(tmp_path / "front"), tmp_path / "rear", (120, 160))


def test_only_a_bundle_is_written_over(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"models is there and is no bundle: choose another --out"):
        adapt(bundle, tmp_path / "models", batch=1)
    assert (tmp_path / "models" / "mine").is_dir()
    for batch in (1, 2):
        adapt(bundle, tmp_path / "models" / "mine", batch=batch)
        assert load_bundle(tmp_path / "models" / "mine").manifest.input.batch == batch


def test_the_source_is_not_written_over(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle.path.name)
    for out in (bundle.path, bundle.path / ".." / "b", tmp_path / "link"):
        with pytest.raises(
            TrainingError, match="is what is adapted, and would be lost: choose another --out"
        ):
            adapt(bundle, out, (96, 128))
    assert load_bundle(bundle.path).manifest == bundle.manifest


def test_a_full_disk_is_one_line_with_the_place(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(adapting.onnx, "save", full)
    with pytest.raises(TrainingError, match=r"cannot write .*/two: No space left .* choose another --out"):
        adapt(bundle, tmp_path / "two", batch=2)
