"""Losses of the detection head on labelled boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.models.detection.targets import DetectionTargets
from training.models.outputs import DetectionMaps

# TTFNet's weights of the two terms (https://arxiv.org/abs/1909.00700).
HEATMAP_WEIGHT, BOX_WEIGHT = 1.0, 5.0


def focal_loss(
    logits: Tensor, target: Tensor, ignored: Tensor | None = None, alpha: float = 2.0, beta: float = 4.0
) -> Tensor:
    """Penalty-reduced focal loss, CenterNet's equation 1, divided by the number of centres (at least 1).

    Args:
        logits: float [N,T,h,w].
        target: float [N,T,h,w], 1 at centres, falling off as Gaussians around them.
        ignored: bool [N,T,h,w], cells that count only as centres.
    """
    logits = logits.float()
    centre = (target == 1).float()
    p = logits.sigmoid()
    hits = centre * (1 - p) ** alpha * F.logsigmoid(logits)
    others = (1 - centre) * (1 - target) ** beta * p**alpha * F.logsigmoid(-logits)
    if ignored is not None:
        others = others.masked_fill(ignored, 0.0)
    return -(hits + others).sum() / centre.sum().clamp(min=1)


def giou_loss(size: Tensor, target: Tensor) -> Tensor:
    """1 - generalized IoU of boxes given by their distances from a common point, float [...].

    Rezatofighi et al., "Generalized Intersection over Union" (CVPR 2019, https://arxiv.org/abs/1902.09630),
    algorithm 1.

    Args:
        size, target: float [4,...], left, top, right, bottom; those of `target` may be negative as long as
            its box is not empty.
    """
    left, top, right, bottom = size
    to_left, to_top, to_right, to_bottom = target
    overlap = (torch.minimum(left, to_left) + torch.minimum(right, to_right)).clamp(min=0) * (
        torch.minimum(top, to_top) + torch.minimum(bottom, to_bottom)
    ).clamp(min=0)
    hull = (torch.maximum(left, to_left) + torch.maximum(right, to_right)) * (
        torch.maximum(top, to_top) + torch.maximum(bottom, to_bottom)
    )
    union = (left + right) * (top + bottom) + (to_left + to_right) * (to_top + to_bottom) - overlap
    return 1 - overlap / union + (hull - union) / hull


def box_loss(size: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean of `giou_loss` over the cells, weighted; 0 without any box.

    Args:
        size, target: float [N,4,h,w]. weight: float [N,h,w].
    """
    chosen = weight > 0
    errors = giou_loss(*(sides.float().transpose(0, 1)[:, chosen] for sides in (size, target)))
    weights = weight[chosen]
    return (errors * weights).sum() / weights.sum().clamp(min=1e-4)


def detection_losses(maps: DetectionMaps, targets: DetectionTargets) -> dict[str, Tensor]:
    """The two terms `heatmap` and `box`, unweighted, over the frames whose boxes are known.

    Both are 0, with a gradient of 0, where no frame of the batch has known boxes.
    """
    known = targets.known
    return {
        "heatmap": focal_loss(maps.heatmap[known], targets.heatmap[known], targets.ignored[known]),
        "box": box_loss(maps.size[known], targets.size[known], targets.weight[known]),
    }
