from typing import Any

import cv2
import numpy as np
import pytest

from distill_perception.vision.geometry import PAD_VALUE, Letterbox, Size, resize

SIZES = [
    (360, 480),
    (480, 640),
    (720, 1280),
    (1080, 1920),
    (1280, 720),
    (37, 53),
    (1, 1),
    (5, 2000),
    (2000, 3),
]


def blocks(rows: int, columns: int, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture of constant squares, each with an id of its own."""
    ids = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    return np.kron(ids, np.ones((size, size), np.uint8))


@pytest.mark.parametrize("source", SIZES)
@pytest.mark.parametrize("target", [(360, 480), (512, 1024), (48, 64)])
def test_the_whole_picture_lies_inside_the_input_touching_two_sides(source: Size, target: Size) -> None:
    box = Letterbox.fit(source, target)
    assert box.top >= 0
    assert box.top + box.height <= target[0]
    assert box.left >= 0
    assert box.left + box.width <= target[1]
    assert box.height == target[0] or box.width == target[1]
    assert abs(2 * box.top + box.height - target[0]) <= 1
    assert abs(2 * box.left + box.width - target[1]) <= 1


def test_the_aspect_ratio_is_kept() -> None:
    assert Letterbox.fit((720, 1280), (360, 480)) == Letterbox((720, 1280), (360, 480), 45, 0, 270, 480)


def test_stretch_fills_the_input() -> None:
    assert Letterbox.fit((720, 1280), (360, 480), "stretch") == Letterbox(
        (720, 1280), (360, 480), 0, 0, 360, 480
    )


def test_a_picture_of_the_models_size_passes_unchanged() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (36, 48, 3), np.uint8)
    box = Letterbox.fit((36, 48), (36, 48))
    np.testing.assert_array_equal(box.apply(picture), picture)
    np.testing.assert_array_equal(box.mask_to_camera(picture[:, :, 0]), picture[:, :, 0])


def test_the_border_is_grey() -> None:
    out = Letterbox.fit((10, 40), (40, 40)).apply(np.zeros((10, 40, 3), np.uint8))
    assert (out[:15] == PAD_VALUE).all()
    assert (out[15:25] == 0).all()
    assert (out[25:] == PAD_VALUE).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_a_mask_goes_there_and_back_unharmed(factor: int) -> None:
    camera = blocks(3, 8, 12)
    box = Letterbox.fit((36, 96), (36 * 2, 96))
    np.testing.assert_array_equal(box.mask_to_camera(box.apply(camera)), camera)
    wide = Letterbox.fit((36 * factor, 96 * factor), (72, 96))
    inner = Letterbox.fit((36, 96), (72, 96)).apply(camera)
    grown = np.kron(camera, np.ones((factor, factor), np.uint8))
    np.testing.assert_array_equal(wide.mask_to_camera(inner), grown)


@pytest.mark.parametrize("source", [(480, 640), (719, 1279), (1080, 1920), (300, 200)])
def test_each_camera_pixel_gets_the_model_pixel_under_its_centre(source: Size) -> None:
    target = (90, 120)
    box = Letterbox.fit(source, target)
    mask = np.random.default_rng(1).integers(0, 255, target, np.uint8)
    rows = box.top + ((np.arange(source[0]) + 0.5) * box.height / source[0]).astype(int)
    columns = box.left + ((np.arange(source[1]) + 0.5) * box.width / source[1]).astype(int)
    agree = box.mask_to_camera(mask) == mask[np.ix_(rows, columns)]
    assert agree.mean() > 0.99  # a centre on a pixel's edge may fall either way


def test_a_confidence_of_lower_resolution_is_cut_at_the_same_place() -> None:
    box = Letterbox.fit((10, 40), (40, 40))
    confidence = np.zeros((20, 20), np.uint8)
    confidence[8:12] = 200  # rows 15..25 of 40 lie in rows 7.5..12.5 of 20
    out = box.mask_to_camera(confidence)
    assert out.shape == (10, 40)
    assert (out[2:8] == 200).all()


def test_a_mask_is_never_a_view() -> None:
    mask = np.zeros((36, 48), np.uint8)
    assert not np.shares_memory(Letterbox.fit((36, 48), (36, 48)).mask_to_camera(mask), mask)
    assert not np.shares_memory(Letterbox.fit((18, 48), (36, 48)).mask_to_camera(mask), mask)


def test_a_mask_may_be_asked_for_at_the_models_resolution() -> None:
    box = Letterbox.fit((720, 1280), (360, 480))
    mask = np.arange(360, dtype=np.uint16).astype(np.uint8)[:, None].repeat(480, axis=1)
    np.testing.assert_array_equal(box.mask_to_camera(mask, (270, 480)), mask[45:315])


@pytest.mark.parametrize("rule", ["letterbox", "stretch"])
def test_boxes_go_there_and_back(rule: Any) -> None:
    box = Letterbox.fit((719, 1281), (360, 480), rule)
    camera = np.array([[0, 0, 1281, 719], [100.5, 20, 700, 300.25]], np.float32)
    shift = np.array([box.left, box.top] * 2)
    inside = camera * np.array([box.width / 1281, box.height / 719] * 2) + shift
    np.testing.assert_allclose(box.boxes_to_camera(inside.astype(np.float32)), camera, atol=1e-3)


def test_boxes_are_clipped_to_the_picture() -> None:
    box = Letterbox.fit((720, 1280), (360, 480))
    far = np.array([[-50, -50, 1000, 1000], [0, 0, 480, 30]], np.float32)
    np.testing.assert_allclose(box.boxes_to_camera(far), [[0, 0, 1280, 720], [0, 0, 1280, 0]], atol=1e-3)


def test_no_boxes_stay_no_boxes() -> None:
    assert Letterbox.fit((7, 7), (9, 9)).boxes_to_camera(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("source", [(720, 1280), (1080, 1920), (1081, 1923), (2160, 3840)])
def test_shrinking_stays_close_to_area_averaging(source: Size) -> None:
    rng = np.random.default_rng(2)
    rough = rng.integers(0, 256, (90, 160, 3), np.uint8)
    picture = cv2.resize(rough, source[::-1], interpolation=cv2.INTER_CUBIC)
    picture[:, ::7] = 0  # thin poles, which plain linear sampling would drop or double
    area = cv2.resize(picture, (480, 270), interpolation=cv2.INTER_AREA).astype(float)
    ours = np.abs(resize(picture, (270, 480)) - area).mean()
    plain = np.abs(cv2.resize(picture, (480, 270)) - area).mean()
    assert ours < 0.6 * plain


def test_resizing_writes_into_the_given_strided_view() -> None:
    buffer = np.zeros((50, 60, 3), np.uint8)
    resize(np.full((100, 100, 3), 9, np.uint8), (20, 30), buffer[10:30, 15:45])
    assert (buffer[10:30, 15:45] == 9).all()
    assert buffer.sum() == 9 * 20 * 30 * 3
