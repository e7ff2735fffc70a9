"""What every network of this package returns, student and teacher alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    map of a resized frame.
    """
    stride = -(-frame[0] // cells[0])
    return stride if tuple(cells) == (-(-frame[0] // stride), -(-frame[1] // stride)) else None


def reach(cells: Sequence[int], frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of a map of `cells` (h, w) that begins where the `frame` (H, W) does.

    A map of whole stride may stand out over the frame's right and lower edge; any other ends with it.
    """
    stride = whole_stride(cells, frame)
    return frame if stride is None else (cells[0] * stride, cells[1] * stride)


def upsample(x: Tensor, height: int, width: int) -> Tensor:
    """Map [N,C,h,w] -> [N,C,height,width], bilinear with half-pixel centres.

    A map of whole stride (`whole_stride`) stays where it is (`enlarge`); any other is stretched.
    """
    stride = whole_stride(x.shape[-2:], (height, width))
    if stride is not None:
        return enlarge(x, stride, (height, width))
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
