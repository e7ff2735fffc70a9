"""Lovasz-softmax: the IoU on labels as a loss."""

from __future__ import annotations

import torch
from torch import Tensor


def lovasz_softmax(logits: Tensor, target: Tensor, ignore: int) -> Tensor:
    """Mean over the classes present of the Lovasz extension of 1 - IoU; 0 where a batch has no label.

    Source: Berman, Triki, Blaschko, "The Lovasz-Softmax loss" (CVPR 2018,
    https://arxiv.org/abs/1705.08790), equations 8, 11 and algorithm 1, over the whole batch.

    Args:
        logits: float [N,C,H,W]. target: int64 [N,H,W], `ignore` where unlabelled.
    """
    valid = target != ignore
    probabilities = logits.float().softmax(1).movedim(1, -1)[valid]
    labels = target[valid]
    losses = []
    for index in labels.unique().tolist():
        truth = (labels == index).float()
        errors = (truth - probabilities[:, index]).abs()
        order = _descending(errors)
        sorted_truth = truth[order]
        intersection = sorted_truth.sum() - sorted_truth.cumsum(0)
        union = sorted_truth.sum() + (1 - sorted_truth).cumsum(0)
        jaccard = 1 - intersection / union
        gradient = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        losses.append(errors[order] @ gradient)
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0


def _descending(errors: Tensor) -> Tensor:
    """Order of float32 values in [0, 1], largest first, int64 [P].

    The bits of such numbers are in the numbers' order, and integers are sorted by radix: 4 times faster.
    """
    bits_of_one = 0x3F800000
    return (bits_of_one - errors.detach().view(torch.int32)).sort().indices
