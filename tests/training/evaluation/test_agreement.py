"""Teacher and student: agreement and divergence against hand-worked numbers and torch."""

import pytest
import torch

from training.evaluation.agreement import TeacherAgreement


def pixels(*distributions: tuple[float, ...]) -> torch.Tensor:
    """Log-probabilities [1,C,1,W] of pixels in a row."""
    return torch.tensor(distributions).log().T[None, :, None, :]


def test_agreement_and_divergence_worked_by_hand() -> None:
    # Pixel 1: P_T = (0.8, 0.2), P_S = (0.7, 0.3), both class 0: KL 0.0257320. Pixel 2: P_T = (0.4, 0.6),
    # P_S = (0.5 + tiny, 0.5), not the same class: 0.4 ln 0.8 + 0.6 ln 1.2 = 0.0201355. Pixel 3: not counted.
    metric = TeacherAgreement()
    student = pixels((0.7, 0.3), (0.500001, 0.499999), (0.1, 0.9))
    teacher = pixels((0.8, 0.2), (0.4, 0.6), (0.9, 0.1))
    metric.update(student, teacher, torch.tensor([[[True, True, False]]]))
    agreement, divergence = metric.compute()
    assert agreement.item() == pytest.approx(0.5)
    assert divergence.item() == pytest.approx((0.0257320 + 0.0201355) / 2, abs=2e-6)


def test_divergence_over_batches_equals_torch_kldivloss() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(4, 5, 6, 7, generator=generator).log_softmax(1) for _ in range(2))
    metric = TeacherAgreement()
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(student[part], teacher[part], torch.ones(4, 6, 7, dtype=torch.bool)[part])
    expected = torch.nn.KLDivLoss(reduction="sum", log_target=True)(student, teacher) / (4 * 6 * 7)
    agreement, divergence = metric.compute()
    assert divergence.item() == pytest.approx(expected.item(), rel=1e-5)
    assert agreement.item() == pytest.approx((student.argmax(1) == teacher.argmax(1)).float().mean().item())


def test_a_network_agrees_with_itself() -> None:
    scores = torch.randn(1, 3, 4, 4).log_softmax(1)
    metric = TeacherAgreement()
    metric.update(scores, scores, torch.ones(1, 4, 4, dtype=torch.bool))
    assert [value.item() for value in metric.compute()] == [1.0, 0.0]
