"""From dense maps to a fixed number of boxes without NMS, in operators that every engine has.

CenterNet (https://arxiv.org/abs/1904.07850), section 4, "From points to bounding boxes": a cell is a
detection where its score is the largest in its 3x3 neighbourhood; the K best of a frame are kept.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.models.outputs import DetectionMaps

# Logit of cells that are no peak: sigmoid gives a score of 0, yet it is finite in FP16.
NO_PEAK = -100.0


def decode_detections(
    maps: DetectionMaps, things: Tensor, height: int, width: int, max_detections: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best boxes of every frame, best first.

    Args:
        maps: of a batch of N frames.
        things: int64 [T] class ids of the heatmap's channels.
        height, width: of the frames in pixels; boxes are clipped to them.
        max_detections: K, at most T*h*w boxes are returned. Places without a peak have score 0.

    Returns:
        boxes float32 [N,K,4] x1,y1,x2,y2 in pixels, scores float32 [N,K], labels int64 [N,K] class ids.
    """
    rows, columns = maps.heatmap.shape[-2:]
    cells, channels = rows * columns, maps.heatmap.shape[1]
    heatmap = maps.heatmap.float()
    peak = F.max_pool2d(heatmap, 3, 1, padding=1) == heatmap
    logits = torch.where(peak, heatmap, NO_PEAK).flatten(1)
    best, places = logits.topk(min(max_detections, channels * cells))
    channel = places // cells
    cell = places - channel * cells
    row = cell // columns
    column = cell - row * columns
    size = maps.size.float().flatten(2).gather(2, cell[:, None].expand(-1, 4, -1))
    left, top, right, bottom = (size * maps.stride).unbind(1)
    x = (column.float() + 0.5) * maps.stride
    y = (row.float() + 0.5) * maps.stride
    boxes = torch.stack(
        (
            (x - left).clamp(0, width),
            (y - top).clamp(0, height),
            (x + right).clamp(0, width),
            (y + bottom).clamp(0, height),
        ),
        dim=2,
    )
    return boxes, best.sigmoid(), things[channel]
