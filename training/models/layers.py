"""Small layers that the decoders and heads share, of operators that inference engines fuse."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(
    inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, groups: int = 1, stride: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU6; the resolution is divided by `stride`, rounded up."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            inputs, outputs, kernel, stride, padding=padding, dilation=dilation, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


def separable(channels: int) -> nn.Sequential:
    """Depthwise 3x3 then pointwise convolution."""
    return nn.Sequential(conv_bn(channels, channels, 3, groups=channels), conv_bn(channels, channels))


def enlarge(x: Tensor, ratio: int, size: Sequence[int]) -> Tensor:
    """`x` [N,C,ceil(h/ratio),ceil(w/ratio)] at `size` = (h, w), bilinear with half-pixel centres.

    Where the size is no multiple of `ratio`, the last cells of `x` stand out over the edge and are cut off.
    Squeezing them into the size instead would move everything before them towards the origin: by up to half a
    coarse cell at the far edge, a difference between training on crops and looking at whole frames.
    """
    if ratio == 1:
        return x
    # A size, not a scale factor: of a Resize with scales OpenVINO's INT8 makes other values (2026.4).
    sides = (x.shape[-2] * ratio, x.shape[-1] * ratio)
    whole = F.interpolate(x, size=sides, mode="bilinear", align_corners=False)
    return whole[..., : size[0], : size[1]]


class Context(nn.Module):
    """Adds the picture's mean feature to every position: the decoder knows what kind of place this is.

    After the image-level pooling of DeepLabV3 (https://arxiv.org/abs/1706.05587), section 3.3.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.local = conv_bn(inputs, outputs)
        self.scene = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU6(inplace=True))
        self.fuse = separable(outputs)

    def forward(self, x: Tensor) -> Tensor:
        scene: Tensor = self.scene(x.mean((2, 3), keepdim=True))
        fused: Tensor = self.fuse(self.local(x) + scene)
        return fused
