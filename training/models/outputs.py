"""What every network of this package returns, student and teacher alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.models.layers import enlarge


@dataclass
class DetectionMaps:
    """Dense detection output, before decoding.

    Attributes:
        heatmap: logits float [N,T,h,w], one channel for each thing class in order of id.
        size: float [N,4,h,w], distances left, top, right, bottom from the cell's centre to the sides of its
            box, in units of `stride`, always positive.
        stride: input pixels a cell; the centre of cell (row, column) lies at
            ((column + 0.5) * stride, (row + 0.5) * stride).
    """

    heatmap: Tensor
    size: Tensor
    stride: int


@dataclass
class Outputs:
    """A network's answer; a field is None where the network does not do that task.

    Attributes:
        logits: segmentation, float [N,C,h,w] at the head's resolution.
        detection: dense detection maps.
    """

    logits: Tensor | None = None
    detection: DetectionMaps | None = None


def whole_stride(cells: Sequence[int], frame: Sequence[int]) -> int | None:
    """Pixels a cell of a map of `cells` (h, w) that is of whole stride in the `frame` (H, W), else None.

    Such a map's sides are the frame's divided by the stride and rounded up; any other size is taken for the
    map of a resized frame. Of several strides that fit, a power of two is meant, as networks have.
    """
    fitting = []
    stride = -(-frame[0] // cells[0])
    while -(-frame[0] // stride) == cells[0] and stride <= max(frame):
        if -(-frame[1] // stride) == cells[1]:
            fitting.append(stride)
        stride += 1
    return next((stride for stride in fitting if stride & (stride - 1) == 0), fitting[0] if fitting else None)


def reach(cells: Sequence[int], frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of a map of `cells` (h, w) that begins where the `frame` (H, W) does.

    A map of whole stride may stand out over the frame's right and lower edge; any other ends with it.
    """
    stride = whole_stride(cells, frame)
    return frame if stride is None else (cells[0] * stride, cells[1] * stride)


def resample(
    x: Tensor,
    size: tuple[int, int],
    covered: tuple[int, int],
    rows: tuple[float, float],
    columns: tuple[float, float],
) -> Tensor:
    """Map [N,C,h,w] -> [N,C,*size], bilinear at the centres of the new cells; beyond its borders it goes on.

    Args:
        covered: height, width in pixels of the result, which begins at 0, 0.
        rows, columns: upper and lower, left and right border of `x` in the same pixels.
    """
    down, across = (
        ((torch.arange(cells) + 0.5) * (pixels / cells) - low) / (high - low) * 2 - 1
        for cells, pixels, (low, high) in zip(size, covered, (rows, columns), strict=True)
    )
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1).to(x)
    return F.grid_sample(x, grid.expand(len(x), -1, -1, -1), "bilinear", "border", align_corners=False)


def upsample(x: Tensor, height: int, width: int) -> Tensor:
    """Map [N,C,h,w] -> [N,C,height,width], bilinear with half-pixel centres.

    A map of whole stride (`whole_stride`) stays where it is (`enlarge`); any other is stretched.
    """
    stride = whole_stride(x.shape[-2:], (height, width))
    if stride is not None:
        return enlarge(x, stride, (height, width))
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
