"""A cached answer follows the frame through its augmentation."""

import albumentations as A
import cv2
import numpy as np
import pytest
import torch

from tests.training.teachers.fakes import resize
from training.data.class_sets import CLASS_SETS
from training.data.trace import coordinates
from training.models.outputs import upsample
from training.teachers.cache.codes import decode_codes, encode_log_probs
from training.teachers.cache.geometry import answered_cells, sample_codes

VOID = CLASS_SETS["camvid"].void_id


def decoded(
    codes: np.ndarray, came_from: np.ndarray, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.from_numpy(sample_codes(codes, came_from, (60, 80), size))[None]
    valid = (found > 0).any(1)
    np.testing.assert_array_equal(answered_cells(came_from, size), valid[0].numpy())
    return decode_codes(found), valid


def test_without_augmentation_it_is_the_answer_resized_as_logits_are() -> None:
    torch.manual_seed(0)
    coarse = torch.randn(1, 11, 4, 5) * 2
    exact = torch.nn.functional.interpolate(coarse, (15, 20), mode="bicubic").log_softmax(1)
    answer = encode_log_probs(exact)[0].numpy()
    same, _ = decoded(answer, coordinates(60, 80), (15, 20))
    assert (same.exp() - exact.exp()).abs().max() < 0.02
    fine, valid = decoded(answer, coordinates(60, 80), (60, 80))
    assert valid.all()
    assert (fine.exp() - resize(exact, 60, 80).exp()).abs().max() < 0.03


def test_it_stays_in_step_with_the_mask_and_padding_is_not_valid() -> None:
    """The teacher is sure of the true mask; after any geometry it must be sure of the changed mask."""
    rng = np.random.default_rng(0)
    mask = cv2.resize(rng.integers(0, 11, (3, 4)).astype(np.uint8), (80, 60), interpolation=cv2.INTER_NEAREST)
    sure = torch.nn.functional.one_hot(torch.from_numpy(mask).long(), 11).permute(2, 0, 1)[None]
    answer = encode_log_probs((sure * 10.0).log_softmax(1))[0].numpy()
    image = np.repeat(mask[..., None] * 20, 3, 2)
    for void_id in (VOID, 255):
        changes = A.Compose(
            [
                A.RandomScale((-0.5, 1.0), p=1),
                A.PadIfNeeded(64, 64, position="random", fill=0, fill_mask=void_id),
                A.RandomCrop(64, 64),
                A.HorizontalFlip(p=0.5),
            ],
            additional_targets={"came_from": "mask"},
            seed=3,
        )
        padded = []
        for _ in range(20):
            out = changes(image=image, mask=mask, came_from=coordinates(60, 80))
            log_probs, valid = decoded(answer, out["came_from"], (64, 64))
            np.testing.assert_array_equal(valid[0].numpy(), out["mask"] != void_id)
            right = log_probs.argmax(1)[0].numpy() == out["mask"]
            assert right[valid[0].numpy()].mean() > 0.99
            coarse, held = decoded(answer, out["came_from"], (16, 16))
            around = np.stack([out["mask"][row::4, column::4] for row in (1, 2) for column in (1, 2)])
            plain = held[0].numpy() & (around == around[0]).all(0)  # no border runs through the cell's centre
            assert (coarse.argmax(1)[0].numpy() == around[0])[plain].mean() > 0.99
            padded.append(not bool(valid.all()))
        assert any(padded)
        assert not all(padded)


def rows_of(frame: tuple[int, int], stride: int) -> np.ndarray:
    """Codes uint8 [1,h,w] of a map of whole stride of a frame: half of each cell's centre, in rows."""
    cells = [-(-side // stride) for side in frame]
    centres = ((np.arange(cells[0]) + 0.5) * stride / 2).astype(np.uint8)
    return np.broadcast_to(centres[:, None], cells)[None].copy()


@pytest.mark.parametrize("size", [(370, 480), (185, 240), (93, 120), (47, 60)])
def test_an_answer_that_stands_out_over_the_frames_edge_stays_where_it_is(size: tuple[int, int]) -> None:
    """370 rows at stride 8 are 47 cells, 376 pixels: squeezed into 370 they would be 3 pixels off."""
    codes, frame = rows_of((370, 480), 8), (370, 480)
    found = sample_codes(codes, coordinates(*frame), frame, size)
    direct, followed = (upsample(torch.from_numpy(x)[None].float(), *frame) for x in (codes, found))
    inner = slice(4, -8)  # beyond the last centre within the frame there is nothing to go by
    # The codes are rounded, by half a code or one pixel.
    assert 2 * (followed - direct)[:, :, inner].abs().max() <= 1.01


def test_an_answer_of_a_resized_frame_is_stretched() -> None:
    codes = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None], (1, 128, 128)).copy()
    found = sample_codes(codes, coordinates(360, 480), (360, 480), (360, 480))
    expected = upsample(torch.from_numpy(codes)[None].float(), 360, 480)
    assert (torch.from_numpy(found) - expected[0]).abs().max() <= 0.51


@pytest.mark.parametrize("turned", [False, True])
def test_cells_that_stand_out_over_a_crops_edge_are_of_whole_stride(turned: bool) -> None:
    """A crop of 101 rows has 13 cells of 8, the student's own."""
    codes = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None], (1, 128, 128)).copy()
    came_from = coordinates(128, 128)[16:117, :96]
    found = sample_codes(codes, came_from[::-1] if turned else came_from, (128, 128), (13, 12))
    centres = (np.arange(13) + 0.5) * 8
    expected = (117 - centres if turned else 16 + centres) - 0.5
    assert np.abs(found[0] - expected[:, None]).max() <= 0.51


def test_a_cell_whose_centre_lies_beyond_the_crops_edge_is_that_of_the_last_pixel() -> None:
    """A crop of 97 rows: the 13th cell's centre would be row 100."""
    codes = np.broadcast_to(np.arange(128, dtype=np.uint8)[:, None], (1, 128, 128)).copy()
    came_from = coordinates(128, 128)[:97, :96]
    assert (sample_codes(codes, came_from, (128, 128), (13, 12))[0, -1] == 96).all()
    assert answered_cells(came_from, (13, 12)).all()
