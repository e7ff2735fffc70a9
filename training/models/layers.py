"""Small layers that the decoders and heads share, of operators that inference engines fuse."""

from __future__ import annotations

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


def separable(channels: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 then pointwise convolution."""
    return nn.Sequential(
        conv_bn(channels, channels, 3, dilation, groups=channels), conv_bn(channels, channels)
    )


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """`x` [N,C,h,w] at the height and width of `like`, bilinear with half-pixel centres."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


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
