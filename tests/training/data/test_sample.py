"""Batches of samples."""

import dataclasses

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device

from training.data.sample import Sample, collate


def sample(name: str, boxes: int) -> Sample:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    mask = np.arange(24, dtype=np.uint8).reshape(4, 6)
    corners = np.tile(np.array([[1, 1, 3, 3]], np.float32), (boxes, 1))
    return Sample(name, image, mask, corners, np.full(boxes, 8, np.int64), has_boxes=boxes > 0)


def test_a_batch_holds_what_its_samples_hold() -> None:
    batch = collate([sample("a", 2), sample("b", 0)])
    assert (len(batch), batch.names) == (2, ["a", "b"])
    assert (batch.images.shape, batch.images.dtype) == ((2, 3, 4, 6), torch.uint8)
    assert (batch.masks.shape, batch.masks.dtype) == ((2, 4, 6), torch.int64)
    assert batch.images[1, 2, 3, 4] == sample("b", 0).image[3, 4, 2]
    assert batch.masks[0, 3, 5] == 23
    assert [(b.shape, b.dtype) for b in batch.boxes] == [((2, 4), torch.float32), ((0, 4), torch.float32)]
    assert [x.tolist() for x in batch.labels] == [[8, 8], []]
    assert (batch.has_mask.tolist(), batch.has_boxes.tolist()) == ([True, True], [True, False])


def test_a_batch_says_which_pixels_unlabelled_frames_have() -> None:
    bare = dataclasses.replace(sample("bare", 0), has_mask=False)
    inside = np.arange(24).reshape(4, 6) % 2 == 0
    batch = collate([sample("a", 0), bare, dataclasses.replace(bare, inside=inside)])
    assert batch.inside is not None
    assert not batch.inside[0].any()
    assert batch.inside[1].all()
    np.testing.assert_array_equal(batch.inside[2], inside)
    assert batch.to("meta").inside.device.type == "meta"
    assert collate([sample("a", 0)]).inside is None


def test_a_batch_moves_to_a_device_as_lightning_moves_it() -> None:
    moved = move_data_to_device(collate([sample("a", 2)]), torch.device("meta"))
    tensors = [moved.images, moved.masks, *moved.boxes, *moved.labels, moved.has_mask, moved.has_boxes]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.names == ["a"]


def test_a_sample_may_have_a_mask_alone() -> None:
    plain = Sample("x", np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8))
    assert (plain.size, plain.has_mask, plain.has_boxes) == ((4, 6), True, False)
    assert (plain.boxes.shape, plain.labels.shape) == ((0, 4), (0,))
