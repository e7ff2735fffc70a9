"""Which cells of a map lie inside boxes, weighted so that each object counts the same."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.distillation.inputs import DistillInputs


def box_masks(inputs: DistillInputs, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Foreground and background weights float [N,h,w] of the cells of a map of `valid`'s size.

    Foreground: 1 / (cells of the box), of the smallest box at a cell. Background: 1 / (cells outside all
    boxes of the frame). Both 0 at invalid cells and in frames whose boxes are unknown.

    Source: FGD (https://arxiv.org/abs/2111.11837), section 3.1.
    """
    inside = torch.zeros(valid.shape, device=valid.device)
    known = torch.zeros(len(valid), dtype=torch.bool, device=valid.device)
    if inputs.has_boxes is not None:
        known = inputs.has_boxes.to(valid.device)
    rows, columns = valid.shape[-2] / inputs.size[0], valid.shape[-1] / inputs.size[1]
    for frame, boxes in enumerate(inputs.boxes):
        if not known[frame]:
            continue
        for x1, y1, x2, y2 in boxes.tolist():
            top, bottom = _span(y1 * rows, y2 * rows, valid.shape[-2])
            left, right = _span(x1 * columns, x2 * columns, valid.shape[-1])
            cells = inside[frame, top:bottom, left:right]
            cells.clamp_(min=1.0 / max(1, cells.numel()))
    inside = inside * valid
    empty = ((inside == 0) & valid & known[:, None, None]).to(inside.dtype)
    return inside, empty / empty.sum((1, 2), keepdim=True).clamp(min=1)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """First and one past the last cell that the interval touches, inside the map."""
    return max(0, math.floor(low)), min(size, math.ceil(high))
