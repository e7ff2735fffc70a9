"""Boxes to dense detection maps and back, in the student's form (training/models/outputs.py)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from training.models.detection.targets import gaussians
from training.models.outputs import DetectionMaps
from training.teachers.base import ScoredBoxes

# sigmoid(-9.2) is 1e-4: what "nothing here" is written as, finite so that losses on logits stay finite.
LOW_LOGIT = -9.2
_HIGH_LOGIT = 9.2
MIN_DISTANCE = 1e-3
# A cell where every box's score * Gaussian is below belongs to no box; its size is 1 on all sides.
_NO_OWNER = 1e-3


def centres(
    height: int, width: int, stride: float, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """x float [width] and y float [height] of cell centres in pixels."""
    x = (torch.arange(width, device=device) + 0.5) * stride
    y = (torch.arange(height, device=device) + 0.5) * stride
    return x, y


def render_boxes(frames: list[ScoredBoxes], height: int, width: int, stride: int) -> DetectionMaps:
    """Draw scored boxes of frames of `height` x `width` pixels as the maps a student learns.

    Heatmap (logits): at each cell the largest score * Gaussian over the boxes, with the Gaussians of the
    labels' targets (TTFNet, https://arxiv.org/abs/1909.00700), one at the cell of the box's centre.
    Size: distances to the sides of the box that has the largest such product there, 1 where there is none.
    """
    maps = [_render(item, math.ceil(height / stride), math.ceil(width / stride), stride) for item in frames]
    return DetectionMaps(torch.stack([m[0] for m in maps]), torch.stack([m[1] for m in maps]), stride)


def _render(item: ScoredBoxes, rows: int, columns: int, stride: int) -> tuple[Tensor, Tensor]:
    """Heatmap logits [T,rows,columns] and size [4,rows,columns] of one frame."""
    boxes, scores = item.boxes.float(), item.scores.float()
    if len(boxes) == 0:
        blank = boxes.new_ones(4, rows, columns)
        return boxes.new_full((scores.shape[1], rows, columns), LOW_LOGIT), blank
    x, y = centres(rows, columns, stride, boxes.device)
    gaussian = gaussians(boxes / stride, (rows, columns))
    heat = torch.stack([(gaussian * s[:, None, None]).amax(0) for s in scores.unbind(1)])
    strength, owner = (gaussian * scores.amax(1)[:, None, None]).max(0)
    sides = boxes[owner].permute(2, 0, 1)  # [4,rows,columns]
    centre = torch.stack([x[None, :].expand(rows, -1), y[:, None].expand(-1, columns)])
    size = (torch.cat([centre - sides[:2], sides[2:] - centre]) / stride).clamp(min=MIN_DISTANCE)
    size = size.where(strength > _NO_OWNER, 1.0)
    return heat.clamp(1e-6, 1 - 1e-6).logit().clamp(LOW_LOGIT, _HIGH_LOGIT), size


def absolute_boxes(maps: DetectionMaps) -> Tensor:
    """The box that each cell points to, float [N,4,h,w], x1, y1, x2, y2 in pixels."""
    height, width = maps.size.shape[-2:]
    x, y = centres(height, width, maps.stride, maps.size.device)
    left, top, right, bottom = (maps.size.float() * maps.stride).unbind(1)
    rows, columns = y[:, None], x[None, :]
    return torch.stack([columns - left, rows - top, columns + right, rows + bottom], 1)


def decode_maps(maps: DetectionMaps, count: int = 100, floor: float = 0.01) -> list[ScoredBoxes]:
    """Boxes at the peaks of the heatmap, at most `count` a frame, best score first, each at least `floor`.

    A peak is a cell that no neighbour of its 3x3 exceeds (CenterNet, Zhou et al. 2019, section 4). Other
    classes' probability at the same cell stays with the box.
    """
    probability = maps.heatmap.float().sigmoid()
    peaks = probability * (F.max_pool2d(probability, 3, 1, 1) == probability)
    boxes = absolute_boxes(maps).flatten(2)
    best, cells = peaks.amax(1).flatten(1).topk(min(count, boxes.shape[-1]))
    found = []
    for frame, (score, cell) in enumerate(zip(best, cells, strict=True)):
        kept = cell[score >= floor]
        found.append(ScoredBoxes(boxes[frame][:, kept].T, probability[frame].flatten(1)[:, kept].T))
    return found


def clip(item: ScoredBoxes, height: int, width: int) -> ScoredBoxes:
    """Boxes cut to the frame; those that have nothing in it are dropped."""
    limit = item.boxes.new_tensor([width, height, width, height])
    boxes = item.boxes.clamp(min=0).minimum(limit)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return ScoredBoxes(boxes[inside], item.scores[inside])
