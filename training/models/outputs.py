"""What every network of this package returns, student and teacher alike."""

from __future__ import annotations

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


def upsample(x: Tensor, height: int, width: int) -> Tensor:
    """Map [N,C,h,w] -> [N,C,height,width], bilinear with half-pixel centres.

    A map of a whole stride, whose sides are the frame's divided by it and rounded up, stays where it is
    (`enlarge`); any other size is taken for a resized frame and stretched.
    """
    stride = -(-height // x.shape[-2])
    if x.shape[-2:] == (-(-height // stride), -(-width // stride)):
        return enlarge(x, stride, (height, width))
    return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
