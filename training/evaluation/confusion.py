"""Intersection over union from a confusion matrix."""

from __future__ import annotations

import torch
from torch import Tensor


def iou_from_confusion(confusion: Tensor) -> Tensor:
    """IoU of each class, float64 [C], from counts [C,C] (rows: label); nan where a class never occurs."""
    hits = confusion.diag().double()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diag()
    return torch.where(union > 0, hits / union.clamp(min=1), torch.nan)
