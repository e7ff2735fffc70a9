"""Samples at one size."""

import dataclasses

import numpy as np

from distill_perception.vision.geometry import PAD_VALUE
from training.data.resize import resize_sample
from training.data.sample import Sample


def sample() -> Sample:
    """A red 20x20 square of class 8 at column 40, row 10 of a 60x120 frame, with its box."""
    image = np.zeros((60, 120, 3), np.uint8)
    mask = np.zeros((60, 120), np.uint8)
    image[10:30, 40:60, 0], mask[10:30, 40:60] = 200, 8
    return Sample("a", image, mask, np.array([[40, 10, 60, 30]], np.float32), np.array([8]), has_boxes=True)


def assert_square_at(resized: Sample, x1: int, y1: int, x2: int, y2: int) -> None:
    np.testing.assert_array_equal(resized.boxes, [[x1, y1, x2, y2]])
    inside = np.zeros(resized.mask.shape, bool)
    inside[y1:y2, x1:x2] = True
    np.testing.assert_array_equal(resized.mask == 8, inside)
    np.testing.assert_array_equal(resized.image[..., 0] == 200, inside)


def test_stretching_scales_frame_mask_and_boxes_alike() -> None:
    region = {"ignored": sample().boxes, "ignored_labels": sample().labels}
    resized = resize_sample(dataclasses.replace(sample(), **region), (120, 60), "stretch", 11)
    np.testing.assert_array_equal(resized.ignored, resized.boxes)
    np.testing.assert_array_equal(resized.boxes, [[20, 20, 30, 60]])
    np.testing.assert_array_equal(resized.mask[20:60, 20:30], 8)
    assert (resized.mask == 8).sum() == 40 * 10
    assert 11 not in resized.mask


def test_a_letterbox_keeps_proportions_and_its_border_is_void() -> None:
    resized = resize_sample(sample(), (60, 60), "letterbox", 11)
    assert_square_at(resized, 20, 15 + 5, 30, 15 + 15)
    border = np.r_[0:15, 45:60]
    assert set(resized.mask[border].ravel()) == {11}
    assert set(resized.image[border].ravel()) == {PAD_VALUE}
    assert 11 not in resized.mask[15:45]


def test_without_a_mask_the_border_is_not_the_frames_own() -> None:
    bare = dataclasses.replace(sample(), has_mask=False)
    inside = resize_sample(bare, (60, 60), "letterbox", 11).inside
    assert inside is not None
    assert inside[15:45].all()
    assert not inside[np.r_[0:15, 45:60]].any()
    assert resize_sample(bare, (60, 60), "stretch", 11).inside is None  # nothing to leave out


def test_a_sample_of_the_right_size_is_left_alone() -> None:
    same = sample()
    assert resize_sample(same, (60, 120), "letterbox", 11) is same


def test_shrinking_masks_takes_middles_not_corners() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[1::3, 1::3] = 5
    small = resize_sample(Sample("a", np.zeros((9, 9, 3), np.uint8), mask), (3, 3), "stretch", 11)
    assert (small.mask == 5).all()
