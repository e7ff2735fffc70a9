"""A teacher's answer to a scaled or mirrored frame, brought back to the frame as it was."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from training.models.outputs import DetectionMaps
from training.teachers.detection_maps import MIN_DISTANCE, absolute_boxes, centres


def make_view(images: Tensor, scale: float, flip: bool) -> Tensor:
    """Frames [N,C,H,W] resized by `scale` (sides rounded to multiples of 32) and mirrored."""
    if scale != 1.0:
        size = [max(32, round(side * scale / 32) * 32) for side in images.shape[-2:]]
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    return images.flip(-1) if flip else images


def place_maps(
    maps: DetectionMaps, view: tuple[int, int], frame: tuple[int, int], stride: int, flip: bool
) -> DetectionMaps:
    """Detection maps of a view of `view` pixels on the grid of the frame of `frame` pixels.

    A cell's heatmap probability is the largest of the view's cells that it covers, so that peaks stay, and
    its box is that cell's. Where the view's cells are as large or larger, the probability is interpolated
    bilinearly and the box is the nearest one's. It is scaled, mirrored and measured from the new cell's
    centre. On the same grid nothing changes.

    Args:
        view: height, width of the frame that the teacher saw.
        frame: height, width of the frame as it is.
        stride: of the result.
    """
    if view == frame and stride == maps.stride and not flip:
        return maps
    scale = view[0] / frame[0], view[1] / frame[1]
    x, y = centres(*(math.ceil(side / stride) for side in frame), stride, maps.heatmap.device)

    def sample(values: Tensor, mode: str, dx: float = 0.0, dy: float = 0.0) -> Tensor:
        """Values of the view's cells at the new cells' centres, moved by (dx, dy) pixels of the frame."""
        across = (frame[1] - x - dx if flip else x + dx) * scale[1] / (maps.stride * values.shape[-1])
        down = (y + dy) * scale[0] / (maps.stride * values.shape[-2])
        # -1 and 1 are the outer borders of the view's map, as grid_sample has it.
        grid = torch.stack(torch.meshgrid(across * 2 - 1, down * 2 - 1, indexing="xy"), -1)
        grid = grid.expand(len(values), -1, -1, -1)
        return F.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=False)

    probability = maps.heatmap.float().sigmoid()
    boxes = absolute_boxes(maps)
    if stride * min(scale) > maps.stride:
        count = math.ceil(round(stride * max(scale) / maps.stride, 3))  # of the view's cells along a side
        offsets = [((i + 0.5) / count - 0.5) * stride for i in range(count)]
        points = [(dx, dy) for dy in offsets for dx in offsets]
        heats = torch.stack([sample(probability, "nearest", *point) for point in points])
        heat = heats.amax(0)
        strongest = heats.amax(2).argmax(0)[None, :, None].expand(-1, -1, 4, -1, -1)
        found = torch.stack([sample(boxes, "nearest", *point) for point in points])
        boxes = found.gather(0, strongest)[0]
    else:
        heat = sample(probability, "bilinear")
        boxes = sample(boxes, "nearest")
    left, top, right, bottom = boxes.unbind(1)
    left, right = left / scale[1], right / scale[1]
    if flip:
        left, right = frame[1] - right, frame[1] - left
    sides = [x - left, y[:, None] - top / scale[0], right - x, bottom / scale[0] - y[:, None]]
    size = (torch.stack(sides, 1) / stride).clamp(min=MIN_DISTANCE)
    return DetectionMaps(heat.clamp(1e-6, 1 - 1e-6).logit(), size, stride)
