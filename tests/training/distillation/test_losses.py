"""Losses against hand-worked numbers, torch's own and properties that the papers state."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.distillation.losses import cross_entropy, enet_class_weights, lovasz_softmax
from training.distillation.losses.kl import kl_map
from training.distillation.maps import masked_mean

VOID = 11


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities).log().view(1, -1, 1, 1)


def test_kl_equals_the_hand_worked_example() -> None:
    # P = (0.8, 0.2) teacher, Q = (0.7, 0.3) student: 0.8 ln(0.8/0.7) + 0.2 ln(0.2/0.3) = 0.0257320
    found = kl_map(logits_of(0.7, 0.3), logits_of(0.8, 0.2), temperature=1.0)
    assert found.item() == pytest.approx(0.0257320, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_kl_equals_torch_kldivloss_scaled_by_temperature_squared(temperature: float) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    reference = torch.nn.KLDivLoss(reduction="sum")(
        (student / temperature).log_softmax(1), (teacher / temperature).softmax(1)
    )
    expected = reference / (2 * 3 * 4) * temperature**2
    assert kl_map(student, teacher, temperature).mean().item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_counts_only_valid_pixels() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    valid = torch.tensor([[[True, False], [False, False]]])
    expected = kl_map(student[..., :1, :1], teacher[..., :1, :1], 2.0)
    found = masked_mean(kl_map(student, teacher, 2.0), valid)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_of_no_valid_pixel_is_zero_and_has_no_nan_gradient() -> None:
    student = torch.randn(1, 4, 2, 2, requires_grad=True)
    per_pixel = kl_map(student, torch.randn(1, 4, 2, 2), 2.0)
    loss = masked_mean(per_pixel, torch.zeros(1, 2, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None
    assert torch.equal(student.grad, torch.zeros_like(student))


def test_no_gradient_reaches_the_teacher() -> None:
    teacher = torch.randn(1, 4, 2, 2, requires_grad=True)
    kl_map(torch.randn(1, 4, 2, 2, requires_grad=True), teacher, 2.0).sum().backward()
    assert teacher.grad is None


def test_high_temperature_gradient_approaches_that_of_centred_logit_matching() -> None:
    # Hinton et al. 2015, equation 4: T -> inf, zero-mean logits: dKL/dz = (z - v) / (N T^2); T^2 cancels.
    torch.manual_seed(0)
    student = torch.randn(1, 6, 1, 1, dtype=torch.float32)
    teacher = torch.randn(1, 6, 1, 1)
    student = (student - student.mean(1, keepdim=True)).requires_grad_()
    teacher = teacher - teacher.mean(1, keepdim=True)
    kl_map(student, teacher, 200.0).sum().backward()
    assert student.grad is not None
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / 6, atol=5e-3, rtol=0.05)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.5, 8.0))
def test_kl_is_never_negative_and_blind_to_the_order_of_classes(seed: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 2, 5, 2, 2, generator=generator, dtype=torch.float64)
    order = torch.randperm(5, generator=generator)
    found = kl_map(student, teacher, temperature)
    assert found.min() >= -1e-12  # T^2 magnifies rounding
    shuffled = kl_map(student[:, order], teacher[:, order], temperature)
    torch.testing.assert_close(shuffled, found, rtol=1e-9, atol=1e-12)
    assert kl_map(teacher, teacher, temperature).mean().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_cross_entropy_equals_torch_and_ignores_void(weights: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5)
    target = torch.randint(0, 3, (2, 4, 5))
    target[0, :2] = VOID
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=VOID)
    assert cross_entropy(logits, target, VOID, weights).item() == pytest.approx(expected.item(), rel=1e-5)


def test_cross_entropy_of_a_batch_without_labels_is_zero_not_nan() -> None:
    assert cross_entropy(torch.randn(1, 3, 2, 2), torch.full((1, 2, 2), VOID), VOID).item() == 0


def test_enet_weights_follow_the_formula() -> None:
    # 1/ln(1.1 + 0.5) = 2.12764, 1/ln(1.1 + 0.1) = 5.48481; ratio 2.57789
    weights = enet_class_weights(torch.tensor([0.5, 0.1]), 1.1)
    assert (weights[1] / weights[0]).item() == pytest.approx(math.log(1.6) / math.log(1.2), rel=1e-5)
    assert weights.mean().item() == pytest.approx(1.0)


def test_lovasz_softmax_of_two_pixels_worked_by_hand() -> None:
    # Class 0 at both pixels, p0 = 0.8 and 0.4. Sorted errors 0.6, 0.2; Jaccard 1 - 1/2, 1 - 0/2:
    # gradient 0.5, 0.5: loss 0.5 * 0.6 + 0.5 * 0.2 = 0.4. Class 1 is absent and does not count.
    p0 = torch.tensor([0.8, 0.4])
    logits = torch.stack([p0.log(), (1 - p0).log()])[None, :, None, :]
    loss = lovasz_softmax(logits, torch.zeros(1, 1, 2, dtype=torch.long), ignore=11)
    assert loss.item() == pytest.approx(0.4, abs=1e-6)


def test_lovasz_softmax_of_hard_answers_is_one_minus_the_iou() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 8, 8))
    target[0, :2] = 11
    answer = torch.randint(0, 3, (2, 8, 8))
    logits = torch.nn.functional.one_hot(answer, 3).movedim(-1, 1) * 100.0
    valid = target != 11
    ious = [
        ((answer == c) & (target == c))[valid].sum() / ((answer == c) | (target == c))[valid].sum()
        for c in range(3)
    ]
    expected = 1 - torch.stack(ious).mean()
    assert lovasz_softmax(logits, target, ignore=11).item() == pytest.approx(expected.item(), abs=1e-5)


def test_lovasz_softmax_without_labels_is_zero_and_has_a_gradient() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = lovasz_softmax(logits, torch.full((1, 2, 2), 11), ignore=11)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
