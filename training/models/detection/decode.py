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
    frames, channels, rows, columns = maps.heatmap.shape
    cells = rows * columns
    heatmap = maps.heatmap.float()
    peak = F.max_pool2d(heatmap, 3, 1, padding=1) == heatmap
    logits = torch.where(peak, heatmap, NO_PEAK).flatten(2)
    # First within a class, then among classes: no division of indices, which exporters make a long graph of.
    of_class, cell_of_class = logits.topk(min(max_detections, cells))
    best, rank = of_class.flatten(1).topk(min(max_detections, of_class.shape[1] * of_class.shape[2]))
    cell = cell_of_class.flatten(1).gather(1, rank)
    class_of_rank = things[:, None].expand(channels, of_class.shape[2]).reshape(1, -1)
    labels = class_of_rank.expand(frames, -1).gather(1, rank)

    y, x = torch.meshgrid(
        (torch.arange(rows, device=heatmap.device) + 0.5) * maps.stride,
        (torch.arange(columns, device=heatmap.device) + 0.5) * maps.stride,
        indexing="ij",
    )
    centre = torch.stack((x, y)).flatten(1).expand(frames, -1, -1).gather(2, _for_rows(cell, 2))
    size = maps.size.float().flatten(2).gather(2, _for_rows(cell, 4)) * maps.stride
    low = (centre - size[:, :2]).clamp(min=0)
    high = centre + size[:, 2:]
    limit = torch.tensor([[width], [height]], dtype=high.dtype, device=high.device)
    boxes = torch.cat((torch.minimum(low, limit), torch.minimum(high, limit)), 1).transpose(1, 2)
    return boxes, best.sigmoid(), labels


def _for_rows(cell: Tensor, rows: int) -> Tensor:
    """Indices int64 [N,K] for each of `rows` rows: [N,rows,K]."""
    return cell[:, None].expand(-1, rows, -1)
