"""One answer from several: of an ensemble's members or of test-time views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.models.outputs import DetectionMaps
from training.teachers.log_probs import mix, resize


def shares(known: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weight of each member for each class, float [M,C]: those who know the class share it by their weights.

    Args:
        known: bool [C] of each member.
    """
    each = torch.stack([flags.float() * weight for flags, weight in zip(known, weights, strict=True)])
    return each / each.sum(0).clamp(min=torch.finfo(torch.float32).tiny)


def merge_logits(members: Sequence[Tensor], weight: Tensor) -> Tensor:
    """Weighted mean of probabilities at the finest member's resolution, as log-probabilities [N,C,h,w].

    Args:
        members: log-probabilities, float [N,C,h_i,w_i].
        weight: float [M,C], see `shares`.
    """
    height = max(item.shape[-2] for item in members)
    width = max(item.shape[-1] for item in members)
    return mix([resize(item, height, width) for item in members], weight)


def merge_maps(members: Sequence[DetectionMaps], weight: Tensor) -> DetectionMaps:
    """Weighted mean of heatmap probabilities; distances weighted by weight times best score.

    Args:
        members: maps on the same grid.
        weight: float [M,T], see `shares`.
    """
    heat = torch.stack([item.heatmap.float().sigmoid() for item in members])  # [M,N,T,h,w]
    weighted = heat * weight[:, None, :, None, None]
    trust = weighted.amax(2, keepdim=True).clamp(min=1e-12)  # [M,N,1,h,w]
    size = torch.stack([item.size.float() for item in members])
    mean = weighted.sum(0).clamp(1e-6, 1 - 1e-6).logit()
    return DetectionMaps(mean, (size * trust).sum(0) / trust.sum(0), members[0].stride)
