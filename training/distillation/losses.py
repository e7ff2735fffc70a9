"""Losses of segmentation and distillation: pure functions on logits."""

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


def kl_divergence(
    student: Tensor, teacher: Tensor, temperature: float, valid: Tensor | None = None
) -> Tensor:
    """T^2 * mean over pixels of KL(softmax(teacher / T) || softmax(student / T)).

    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network"
    (https://arxiv.org/abs/1503.02531), section 2; T^2 keeps the gradient's size independent of T.

    Args:
        student, teacher: logits, float [N,C,H,W] of the same shape; no gradient flows to the teacher.
        valid: bool [N,H,W], pixels that count; all if None. 0 is returned where none counts.
    """
    log_q = F.log_softmax(student.float() / temperature, dim=1)
    log_p = F.log_softmax(teacher.detach().float() / temperature, dim=1)
    per_pixel = (log_p.exp() * (log_p - log_q)).sum(1)
    if valid is None:
        return per_pixel.mean() * temperature**2
    return (per_pixel * valid).sum() / valid.sum().clamp(min=1) * temperature**2


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
        errors, order = (truth - probabilities[:, index]).abs().sort(descending=True)
        sorted_truth = truth[order]
        intersection = sorted_truth.sum() - sorted_truth.cumsum(0)
        union = sorted_truth.sum() + (1 - sorted_truth).cumsum(0)
        jaccard = 1 - intersection / union
        gradient = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        losses.append(errors @ gradient)
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0
