"""A cached answer follows the frame through its augmentation."""

import albumentations as A
import cv2
import numpy as np
import torch

from training.data.class_sets import CLASS_SETS
from training.data.trace import coordinates
from training.teachers.cache.codes import decode_codes, encode_log_probs
from training.teachers.cache.geometry import answered_cells, sample_codes
from training.teachers.log_probs import resize

VOID = CLASS_SETS["camvid"].void_id


def decoded(
    codes: np.ndarray, came_from: np.ndarray, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    found, valid = decode_codes(torch.from_numpy(sample_codes(codes, came_from, (60, 80), size))[None])
    np.testing.assert_array_equal(answered_cells(came_from, size), valid[0].numpy())
    return found, valid


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
