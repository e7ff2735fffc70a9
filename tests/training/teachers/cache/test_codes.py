"""Bytes hold what distillation needs of a distribution."""

import numpy as np
import torch

from training.teachers.cache.answer import Answer
from training.teachers.cache.codes import decode_codes, encode_log_probs
from training.teachers.log_probs import LOG_ZERO


def soft(seed: int = 0, spread: float = 4.0, size: tuple[int, int] = (15, 20)) -> torch.Tensor:
    torch.manual_seed(seed)
    coarse = torch.randn(1, 11, 4, 5) * spread
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").log_softmax(1)


def test_divergence_from_the_exact_distribution_is_that_of_rounding() -> None:
    exact = soft(spread=2.5)
    stored = decode_codes(encode_log_probs(exact))
    for temperature in (1.0, 2.0, 4.0):
        p, q = (exact / temperature).log_softmax(1), (stored / temperature).log_softmax(1)
        divergence = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(1)
        # Rounding by d has variance d^2 / 12, and KL is half the variance: d^2 / 24; at most (d/2)^2 / 2.
        step = 1 / 16 / temperature
        assert divergence.mean() < step**2 / 24
        assert divergence.max() < step**2 / 8 * 1.1


def test_codes_by_hand() -> None:
    # 0.5 is 255 + 16 ln 0.5 = 243.9; 0.25 is 232.8; the missing 0.25 likewise.
    codes = encode_log_probs(torch.tensor([0.5, 0.25]).log().view(1, 2, 1, 1))
    assert codes.flatten().tolist() == [244, 233, 233]
    log_probs = decode_codes(codes)
    torch.testing.assert_close(log_probs.exp().flatten(), torch.tensor([0.5, 0.25]), atol=0.01, rtol=0)


def test_classes_that_the_teacher_does_not_know_stay_impossible() -> None:
    exact = torch.tensor([0.7, 0.0, 0.3]).log().clamp(min=LOG_ZERO).view(1, 3, 1, 1)
    stored = decode_codes(encode_log_probs(exact), torch.tensor([True, False, True]))
    assert stored.flatten()[1] == LOG_ZERO


def test_arrays_survive_the_store_bit_by_bit() -> None:
    answer = Answer(
        encode_log_probs(soft())[0].numpy(),
        np.array([[1, 2, 3, 4]], np.float32),
        np.array([[0.5, 0.25]], np.float16),
    )
    again = Answer.from_arrays(answer.arrays())
    for name in ("codes", "boxes", "scores"):
        np.testing.assert_array_equal(getattr(again, name), getattr(answer, name))
