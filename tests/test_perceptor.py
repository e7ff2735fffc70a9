import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings, available_engines, open_engine
from distill_perception.errors import ConfigError, EngineError, ImageError
from distill_perception.perceptor import Detection, Frame, Perceptor
from distill_perception.vision.geometry import Letterbox
from tests.support.encodings import SHARING
from tests.support.tiny_bundle import write_tiny_bundle

RED, GREEN, BLUE = 0, 1, 2
BOTH = ("segmentation", "detection")
Array = np.ndarray[Any, Any]


def make(folder: Path, tasks: tuple[str, ...] = BOTH, engine: str = "auto", **options: Any) -> Perceptor:
    bundle = load_bundle(write_tiny_bundle(folder, tasks, **options))
    return Perceptor(bundle, open_engine(bundle, engine, EngineSettings(max_batch=4)))


@pytest.fixture(params=available_engines())
def perceptor(request: pytest.FixtureRequest, tmp_path: Path) -> Perceptor:
    return make(tmp_path / "b", engine=request.param)


def quarters(height: int, width: int, encoding: str = "rgb8") -> Array:
    """Red and green above, blue and red below."""
    ids = np.array([[RED, GREEN], [BLUE, RED]]).repeat(height // 2, axis=0).repeat(width // 2, axis=1)
    pixels = np.eye(3, dtype=np.uint8)[ids] * np.uint8(200)
    if encoding in SHARING:
        return SHARING[encoding](pixels)
    if encoding.startswith("bgr"):
        pixels = pixels[:, :, ::-1]
    if encoding.endswith("a8"):
        pixels = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
    return np.ascontiguousarray(pixels)


def quarter_ids(height: int, width: int) -> Array:
    return np.array([[RED, GREEN], [BLUE, RED]]).repeat(height // 2, axis=0).repeat(width // 2, axis=1)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "uyvy", "bayer_grbg8"])
@pytest.mark.parametrize("size", [(48, 64), (96, 128), (72, 128), (200, 100), (24, 32)])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_every_encoding_and_size_gives_the_mask_of_the_camera(
    tmp_path: Path, encoding: str, size: tuple[int, int], order: str
) -> None:
    perceptor = make(tmp_path / "b", channel_order=order)
    seen = perceptor.perceive([Frame(quarters(*size, encoding), encoding)])[0]
    wanted = quarter_ids(*size)
    if order == "bgr":
        wanted = 2 - wanted  # the tiny graph numbers channels as they come
    assert seen.mask is not None
    assert seen.mask.dtype == np.uint8
    assert seen.mask.shape == size
    wrong = seen.mask != wanted
    band = np.zeros(size, bool)  # the borders between the quarters may be off by a pixel of the model
    reach = max(1, -(-max(size) // 32))
    band[size[0] // 2 - reach : size[0] // 2 + reach] = True
    band[:, size[1] // 2 - reach : size[1] // 2 + reach] = True
    assert not (wrong & ~band).any()


def test_grey_pictures_are_taken(perceptor: Perceptor) -> None:
    seen = perceptor.perceive([Frame(np.full((96, 128), 77, np.uint8), "mono8")], want_confidence=True)[0]
    assert seen.confidence is not None
    assert (seen.mask == RED).all()
    assert (seen.confidence == 77).all()


def test_frames_of_unlike_sizes_and_encodings_share_a_batch(perceptor: Perceptor) -> None:
    frames = [
        Frame(quarters(96, 128), "rgb8"),
        Frame(quarters(200, 100, "bgra8"), "bgra8"),
        Frame(np.zeros((48, 64), np.uint8), "mono8"),
    ]
    together = perceptor.perceive(frames, want_confidence=True)
    for frame, seen in zip(frames, together, strict=True):
        alone = perceptor.perceive([frame], want_confidence=True)[0]
        np.testing.assert_array_equal(seen.mask, alone.mask)
        np.testing.assert_array_equal(seen.confidence, alone.confidence)
        assert seen.detections == alone.detections
        assert seen.mask is not None
        assert seen.mask.shape == frame.size


class Counting:
    """Sees in frame i of a batch one box of class i, i + 1 pixels wide and scored 0.9, 0.8, 0.7."""

    name = "counting"

    def infer(self, frames: Array) -> dict[str, Array]:
        count = len(frames)
        boxes = np.array([[[0, 0, index + 1, 8]] for index in range(count)], np.float32)
        return {
            "boxes": boxes,
            "scores": np.array([[0.9 - 0.1 * index] for index in range(count)], np.float32),
            "labels": np.arange(count)[:, None],
        }


def test_each_frame_of_a_batch_has_its_own_detections(tmp_path: Path) -> None:
    bundle = load_bundle(write_tiny_bundle(tmp_path / "b", ("detection",)))
    frames = [Frame(np.zeros((48, 64, 3), np.uint8))] * 3
    seen = Perceptor(bundle, Counting()).perceive(frames)  # type: ignore[arg-type]
    (first,), (second,), (third,) = (one.detections for one in seen)
    assert [item.box for item in (first, second, third)] == [(0, 0, 1, 8), (0, 0, 2, 8), (0, 0, 3, 8)]
    assert [item.score for item in (first, second, third)] == pytest.approx([0.9, 0.8, 0.7])
    assert [item.label for item in (first, second, third)] == [0, 1, 2]


def test_an_earlier_frames_picture_never_shines_through_the_border(tmp_path: Path) -> None:
    perceptor = make(tmp_path / "b")
    white, wide = np.full((48, 64, 3), 255, np.uint8), np.zeros((20, 64, 3), np.uint8)
    fresh = perceptor.engine.infer(Letterbox.fit((20, 64), (48, 64)).apply(wide)[None])["confidence"].copy()
    perceptor.perceive([Frame(white)])
    perceptor.perceive([Frame(wide)])
    np.testing.assert_array_equal(perceptor.engine.infer(perceptor._buffer[:1])["confidence"], fresh)


def test_results_are_copies_that_later_frames_do_not_change(perceptor: Perceptor) -> None:
    first = perceptor.perceive([Frame(quarters(48, 64), "rgb8")], want_confidence=True)[0]
    assert first.mask is not None
    assert first.confidence is not None
    mask, confidence = first.mask.copy(), first.confidence.copy()
    perceptor.perceive([Frame(np.full((48, 64, 3), 9, np.uint8), "rgb8")], want_confidence=True)
    np.testing.assert_array_equal(first.mask, mask)
    np.testing.assert_array_equal(first.confidence, confidence)


def test_a_read_only_strided_picture_is_taken_and_left_unchanged(perceptor: Perceptor) -> None:
    data = np.zeros((96, 140, 3), np.uint8)
    data[:, :128] = quarters(96, 128)
    view = np.frombuffer(data.tobytes(), np.uint8).reshape(96, 140, 3)[:, :128]
    seen = perceptor.perceive([Frame(view, "rgb8")])[0]
    np.testing.assert_array_equal(seen.mask, quarter_ids(96, 128))
    np.testing.assert_array_equal(view, quarters(96, 128))


def test_the_mask_may_stay_at_the_models_resolution_without_its_border(tmp_path: Path) -> None:
    perceptor = make(tmp_path / "b", confidence_stride=2)
    perceptor.mask_resolution = "model"
    seen = perceptor.perceive([Frame(quarters(360, 640), "rgb8")], want_confidence=True)[0]
    assert seen.mask is not None
    assert seen.confidence is not None
    assert seen.mask.shape == seen.confidence.shape == (36, 64)
    assert (seen.mask[:17, :31] == RED).all()


def test_confidence_comes_only_when_asked_for(perceptor: Perceptor) -> None:
    frame = Frame(quarters(48, 64), "rgb8")
    assert perceptor.perceive([frame])[0].confidence is None
    confidence = perceptor.perceive([frame], want_confidence=True)[0].confidence
    assert confidence is not None
    assert (confidence == 200).all()


def test_detections_are_in_camera_pixels_best_first(perceptor: Perceptor) -> None:
    seen = perceptor.perceive([Frame(np.zeros((96, 128, 3), np.uint8))])[0]
    assert [item.box for item in seen.detections] == [(32, 24, 64, 72), (0, 0, 128, 96)]
    assert [item.label for item in seen.detections] == [2, 1]
    assert [item.score for item in seen.detections] == pytest.approx([0.9, 0.5])


def test_detections_leave_the_letterbox_and_are_clipped(perceptor: Perceptor) -> None:
    # 64 x 24 of the model's 64 x 48 show the picture; a box over the whole input becomes the whole picture.
    seen = perceptor.perceive([Frame(np.zeros((48, 128, 3), np.uint8))])[0]
    assert [item.box for item in seen.detections] == [(32, 0, 64, 48), (0, 0, 128, 48)]


def test_the_score_threshold_may_change_while_running(perceptor: Perceptor) -> None:
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    perceptor.score_threshold = 0.6
    assert len(perceptor.perceive([frame])[0].detections) == 1
    perceptor.score_threshold = 0.0
    assert len(perceptor.perceive([frame])[0].detections) == 3


def test_a_bundle_of_one_task_gives_only_that(tmp_path: Path) -> None:
    frame = Frame(np.zeros((48, 64, 3), np.uint8))
    boxes = make(tmp_path / "boxes", ("detection",)).perceive([frame], want_confidence=True)[0]
    assert (boxes.mask, boxes.confidence) == (None, None)
    assert isinstance(boxes.detections[0], Detection)
    masks = make(tmp_path / "masks", ("segmentation",)).perceive([frame])[0]
    assert masks.mask is not None
    assert masks.detections == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (2161, 3841)])
def test_odd_pictures_are_no_trouble(perceptor: Perceptor, size: tuple[int, int]) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    picture[:, :, GREEN] = 200
    seen = perceptor.perceive([Frame(picture, "bgr8")], want_confidence=True)[0]
    assert seen.mask is not None
    assert seen.mask.shape == size
    assert (seen.mask == GREEN).all()
    assert (seen.confidence == 200).all()


def test_no_frames_give_no_results(perceptor: Perceptor) -> None:
    assert perceptor.perceive([]) == []


def test_the_time_of_every_stage_is_told(perceptor: Perceptor) -> None:
    timings = perceptor.perceive([Frame(quarters(96, 128), "rgb8")])[0].timings
    assert 0 < timings.preprocess_ms < 1000
    assert 0 < timings.inference_ms < 1000
    assert 0 < timings.postprocess_ms < 1000


def test_a_frame_checks_itself() -> None:
    with pytest.raises(ImageError, match="bgra8 picture must be uint8"):
        Frame(np.zeros((4, 4, 3), np.uint8), "bgra8")


@pytest.mark.parametrize(("name", "value"), [("score_threshold", 1.5), ("mask_resolution", "half")])
def test_wrong_settings_are_refused(tmp_path: Path, name: str, value: object) -> None:
    perceptor = make(tmp_path / "b")
    with pytest.raises(ConfigError, match=f"{name} must be"):
        setattr(perceptor, name, value)


def test_a_closed_perceptor_says_so(perceptor: Perceptor) -> None:
    perceptor.close()
    perceptor.close()
    with pytest.raises(EngineError, match="is closed"):
        perceptor.perceive([Frame(np.zeros((4, 4, 3), np.uint8))])


def test_threads_may_share_it(perceptor: Perceptor) -> None:
    wrong: list[int] = []

    def look(label: int) -> None:
        pixels = np.zeros((96, 128, 3), np.uint8)
        pixels[:, :, label] = 200
        for _ in range(30):
            mask = perceptor.perceive([Frame(pixels, "rgb8")])[0].mask
            wrong.extend([label] * int((mask != label).any()))

    threads = [threading.Thread(target=look, args=(label,)) for label in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
