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

    Heatmap probabilities are interpolated bilinearly; a cell's box is that of the nearest cell of the view,
    scaled, mirrored and measured from the new cell's centre. On the same grid nothing changes.

    Args:
        view: height, width of the frame that the teacher saw.
        frame: height, width of the frame as it is.
        stride: of the result.
    """
    if view == frame and stride == maps.stride and not flip:
        return maps
    x, y = centres(*(math.ceil(side / stride) for side in frame), stride, maps.heatmap.device)
    # -1 and 1 are the outer borders of the view's map, as grid_sample has it.
    across = (frame[1] - x if flip else x) * (view[1] / frame[1]) / (maps.stride * maps.size.shape[-1])
    down = y * (view[0] / frame[0]) / (maps.stride * maps.size.shape[-2])
    grid = torch.stack(torch.meshgrid(across * 2 - 1, down * 2 - 1, indexing="xy"), -1)
    grid = grid.expand(len(maps.heatmap), -1, -1, -1)

    def sample(values: Tensor, mode: str) -> Tensor:
        return F.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=False)

    heat = sample(maps.heatmap.float().sigmoid(), "bilinear").clamp(1e-6, 1 - 1e-6).logit()
    ratio = frame[1] / view[1], frame[0] / view[0]
    left, top, right, bottom = sample(absolute_boxes(maps), "nearest").unbind(1)
    left, right = left * ratio[0], right * ratio[0]
    if flip:
        left, right = frame[1] - right, frame[1] - left
    columns, rows = x, y[:, None]
    sides = [columns - left, rows - top * ratio[1], right - columns, bottom * ratio[1] - rows]
    return DetectionMaps(heat, (torch.stack(sides, 1) / stride).clamp(min=MIN_DISTANCE), stride)
