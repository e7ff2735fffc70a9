"""What the detection head should say about labelled boxes.

Liu et al., "Training-Time-Friendly Network" (TTFNet, AAAI 2020, https://arxiv.org/abs/1909.00700): each box
lays a Gaussian, shaped as itself, on its class's heatmap, and every cell under that Gaussian (not only the
centre, as in CenterNet) learns the box, with the Gaussian as weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import TrainingError

# Share of the box that its Gaussian covers; TTFNet takes the same for heatmap (alpha) and box (beta).
COVER = 0.54


@dataclass
class DetectionTargets:
    """Dense targets of a batch.

    Attributes:
        heatmap: float32 [N,T,h,w], 1 at the centres' cells.
        size: float32 [N,4,h,w], left, top, right, bottom distances from the cell's centre in strides;
            negative where a small box does not reach its cell's centre. 0 where `weight` is 0.
        weight: float32 [N,h,w], how much the cell's box counts.
        known: bool [N], false where boxes are unknown and nothing must be learnt.
        ignored: bool [N,T,h,w], cells in which a class's absence must not be learnt.
    """

    heatmap: Tensor
    size: Tensor
    weight: Tensor
    known: Tensor
    ignored: Tensor


def detection_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    has_boxes: Tensor,
    things: Tensor,
    shape: tuple[int, int],
    stride: int,
    ignored: Sequence[Tensor] | None = None,
    ignored_labels: Sequence[Tensor] | None = None,
) -> DetectionTargets:
    """Targets of a batch, on the boxes' device.

    Args:
        boxes: for each frame float32 [K,4], x1,y1,x2,y2 in pixels; empty ones are passed over.
        labels: for each frame int64 [K] class ids.
        has_boxes: bool [N].
        things: int64 [T] class ids of the heatmap's channels.
        shape: height, width of the maps.
        stride: pixels a cell.
        ignored, ignored_labels: regions in which things may be, as `boxes` and `labels`; none if None.

    Raises:
        TrainingError: a label that is none of the things.
    """
    device = has_boxes.device
    things = things.to(device)
    maps = [
        _frame(frame.to(device), _channels(classes.to(device), things), len(things), shape, stride)
        for frame, classes in zip(boxes, labels, strict=True)
    ]
    heatmap, size, weight = (torch.stack(part) for part in zip(*maps, strict=True))
    regions = torch.zeros_like(heatmap, dtype=torch.bool)
    for frame, (corners, classes) in enumerate(zip(ignored or (), ignored_labels or (), strict=True)):
        covered = _covered(corners.to(device) / stride, shape)
        for region, channel in zip(covered, _channels(classes.to(device), things), strict=True):
            regions[frame, channel] |= region
    return DetectionTargets(heatmap, size, weight, has_boxes, regions)


def _channels(labels: Tensor, things: Tensor) -> Tensor:
    """Heatmap channels int64 [K] of class ids."""
    match = labels[:, None] == things[None]
    if not bool(match.any(1).all()):
        strange = sorted(set(labels.tolist()) - set(things.tolist()))
        raise TrainingError(
            f"boxes have labels {strange}, but the things of the class set are {things.tolist()}: "
            "check the data set's class mapping"
        )
    return match.long().argmax(1)


def _covered(boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Cells whose centre lies in each box, bool [K,h,w]; boxes float [K,4] in cells."""
    height, width = shape
    y, x = (torch.arange(length, device=boxes.device) + 0.5 for length in (height, width))
    left, top, right, bottom = (side[:, None] for side in boxes.unbind(1))
    return ((y >= top) & (y <= bottom))[:, :, None] & ((x >= left) & (x <= right))[:, None, :]


def gaussians(boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Truncated Gaussian of each box, float32 [K,h,w], 1 at the centre's cell, 0 outside the radius.

    Radius and deviation after TTFNet's code: radius = floor(half side * 0.54), sigma = (2 radius + 1) / 6.

    Args:
        boxes: float32 [K,4] in cells.
    """
    height, width = shape
    centre_x = ((boxes[:, 0] + boxes[:, 2]) / 2).floor().clamp(0, width - 1)
    centre_y = ((boxes[:, 1] + boxes[:, 3]) / 2).floor().clamp(0, height - 1)
    along_x = _profile(centre_x, boxes[:, 2] - boxes[:, 0], width)
    along_y = _profile(centre_y, boxes[:, 3] - boxes[:, 1], height)
    return along_y[:, :, None] * along_x[:, None, :]


def _profile(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """One dimension of the Gaussians, float32 [K,length]."""
    radius = (side / 2 * COVER).floor()[:, None]
    distance = torch.arange(length, device=centre.device) - centre[:, None]
    sigma = (2 * radius + 1) / 6
    return torch.exp(-(distance**2) / (2 * sigma**2)) * (distance.abs() <= radius)


def _frame(
    boxes: Tensor, channels: Tensor, things: int, shape: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Heatmap [T,h,w], size [4,h,w] and weight [h,w] of one frame."""
    height, width = shape
    heatmap = boxes.new_zeros(things, height * width)
    solid = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1)
    boxes, channels = boxes[solid], channels[solid]
    if len(boxes) == 0:
        return heatmap.view(things, *shape), boxes.new_zeros(4, *shape), boxes.new_zeros(shape)
    blobs = gaussians(boxes / stride, shape).flatten(1)
    heatmap.scatter_reduce_(0, channels[:, None].expand_as(blobs), blobs, "amax")

    # A cell under several Gaussians belongs to the smallest box.
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    owner = torch.where(blobs > 0, area[:, None], torch.inf).argmin(0)
    weight = blobs / blobs.sum(1, keepdim=True) * area.clamp(min=torch.e).log()[:, None]
    owned_weight = weight.gather(0, owner[None])[0]

    rows, columns = torch.meshgrid(
        torch.arange(height, device=boxes.device) + 0.5,
        torch.arange(width, device=boxes.device) + 0.5,
        indexing="ij",
    )
    x, y = columns.flatten(), rows.flatten()
    left, top, right, bottom = (boxes / stride)[owner].unbind(1)
    size = torch.stack((x - left, y - top, right - x, bottom - y)) * (owned_weight > 0)
    return heatmap.view(things, *shape), size.view(4, *shape), owned_weight.view(shape)
