"""Cross-entropy on labels, and the class weights that balance it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def enet_class_weights(frequencies: Tensor, c: float) -> Tensor:
    """w = 1 / ln(c + frequency), scaled to mean 1: rare classes weigh more, bounded by 1 / ln(c).

    Source: Paszke et al., "ENet" (https://arxiv.org/abs/1606.02147), section 5.2 (there c = 1.02).

    Args:
        frequencies: float [C], share of each class among labelled pixels.
    """
    weights = 1.0 / torch.log(c + frequencies.double())
    return (weights / weights.mean()).float()


def cross_entropy(logits: Tensor, target: Tensor, ignore: int, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy over labelled pixels; 0 where a batch has none.

    Args:
        logits: float [N,C,H,W]. target: int64 [N,H,W], `ignore` where unlabelled. weights: float [C].
    """
    total = F.cross_entropy(logits.float(), target, weights, ignore_index=ignore, reduction="sum")
    valid = target != ignore
    if weights is None:
        norm = valid.sum()
    else:
        norm = weights[target.clamp(max=len(weights) - 1)][valid].sum()
    return total / norm.clamp(min=1e-6)
