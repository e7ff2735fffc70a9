"""Calibration error against a hand-worked example and torchmetrics."""

import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from training.evaluation.calibration import CalibrationError

VOID = 11


def test_ece_of_four_pixels_worked_by_hand() -> None:
    # Bins of 1/15. 0.90 and 0.92 share bin 14 ((13/15, 14/15]): accuracy 1/2, confidence 0.91, gap 0.41.
    # 0.50 is alone in bin 8 and right: gap 0.50. Void does not count. ECE = 2/3 * 0.41 + 1/3 * 0.50.
    metric = CalibrationError(VOID)
    confidence = torch.tensor([[[0.90, 0.92], [0.50, 0.99]]])
    prediction = torch.tensor([[[1, 2], [3, 4]]])
    target = torch.tensor([[[1, 5], [3, VOID]]])
    metric.update(confidence, prediction, target)
    assert metric.compute().item() == pytest.approx(2 / 3 * 0.41 + 1 / 3 * 0.50, abs=1e-6)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    # Guo's bins are ((m-1)/M, m/M]: 0.5 lies in the first of two bins, together with 0.25, not with 0.75.
    metric = CalibrationError(VOID, bins=2)
    metric.update(torch.tensor([[[0.5, 0.25]]]), torch.tensor([[[0, 0]]]), torch.tensor([[[0, 1]]]))
    assert metric.compute().item() == pytest.approx(abs(1 / 2 - 0.75 / 2))


@pytest.mark.parametrize("seed", range(3))
def test_ece_equals_that_of_torchmetrics_without_void(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours, reference = CalibrationError(VOID), MulticlassCalibrationError(4, n_bins=15, ignore_index=VOID)
    for _ in range(3):
        logits = torch.randn(2, 4, 20, 30, generator=generator) * 2
        target = torch.randint(0, 4, (2, 20, 30), generator=generator)
        target[torch.rand(target.shape, generator=generator) < 0.2] = VOID
        probabilities = logits.softmax(1)
        confidence, prediction = probabilities.max(1)
        ours.update(confidence, prediction, target)
        reference.update(probabilities, target)
    assert ours.compute().item() == pytest.approx(reference.compute().item(), rel=1e-4)


def test_nothing_labelled_has_no_calibration() -> None:
    metric = CalibrationError(VOID)
    metric.update(torch.ones(1, 2, 2), torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), VOID))
    assert metric.compute().isnan()
