"""Expected calibration error of pixels: does a confidence of 0.8 mean that 80 % are right?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

BINS = 15


class CalibrationError(Metric):
    """ECE = sum over bins of (share of pixels) * |accuracy - mean confidence|, streamed.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017,
    https://arxiv.org/abs/1706.04599), equation 3: bins ((m-1)/M, m/M] of the winning class's probability,
    M = 15. torchmetrics' metric of that name keeps every pixel until the end; this keeps three sums a bin.
    """

    full_state_update = False

    def __init__(self, void_id: int, bins: int = BINS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.void_id = void_id
        # Rows: bins. Columns: pixels, sum of confidences, pixels whose class is right.
        self.add_state("sums", torch.zeros(bins, 3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, confidence: Tensor, prediction: Tensor, target: Tensor) -> None:
        """Add images.

        Args:
            confidence: float [N,H,W], 0..1. prediction: class ids [N,H,W]. target: class ids or void [N,H,W].
        """
        valid = target != self.void_id
        sure = confidence[valid].double()
        right = (prediction[valid] == target[valid]).double()
        bins = len(self.sums)
        index = (torch.ceil(sure * bins).long() - 1).clamp(0, bins - 1)
        rows = torch.stack([torch.ones_like(sure), sure, right], dim=1)
        self.sums += torch.zeros_like(self.sums, device=rows.device).index_add_(0, index, rows).to(self.sums)

    def compute(self) -> Tensor:
        """float64 []; nan before any labelled pixel."""
        pixels, confidence, right = self.sums.unbind(1)
        return (right - confidence).abs().sum() / pixels.sum()
