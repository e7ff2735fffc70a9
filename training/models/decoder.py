"""Light feature-pyramid decoder of operators that inference engines fuse: conv, add, resize, pooling.

Top-down pathway after Lin et al., "Feature Pyramid Networks" (CVPR 2017, https://arxiv.org/abs/1612.03144);
context at the coarsest level after the image-level pooling of DeepLabV3 (https://arxiv.org/abs/1706.05587),
section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int = 1, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU6 at unchanged resolution."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


def separable(channels: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 then pointwise convolution."""
    return nn.Sequential(
        conv_bn(channels, channels, 3, dilation, groups=channels), conv_bn(channels, channels)
    )


class Context(nn.Module):
    """Adds the picture's mean feature to every position: the decoder knows what kind of place this is."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.local = conv_bn(inputs, outputs)
        self.scene = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU6(inplace=True))
        self.fuse = separable(outputs)

    def forward(self, x: Tensor) -> Tensor:
        scene: Tensor = self.scene(x.mean((2, 3), keepdim=True))
        fused: Tensor = self.fuse(self.local(x) + scene)
        return fused


class FpnDecoder(nn.Module):
    """Encoder maps at strides 2..32 (fine to coarse) -> one map float [N, out_channels, H/s, W/s].

    `dense` replaces separable convolutions by full 3x3 ones at all levels but the finest: more work, but
    rare classes are learnt in fewer epochs. `detail` > 0 adds a last level of so many channels at stride 2,
    for what is only a few pixels wide (poles, signs); without it the finest level is stride 4.
    """

    def __init__(self, channels: Sequence[int], width: int, dense: bool = False, detail: int = 0) -> None:
        super().__init__()
        finest, *finer, coarsest = channels
        self.context = Context(coarsest, width)
        self.lateral = nn.ModuleList(conv_bn(c, width) for c in finer)
        self.smooth = nn.ModuleList(
            conv_bn(width, width, 3) if dense and level > 0 else separable(width)
            for level, _ in enumerate(finer)
        )
        self.detail = Detail(width, finest, detail) if detail else None
        self.out_channels = detail or width
        self.stride = 2 if detail else 4

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        finest, *finer, coarsest = features
        x: Tensor = self.context(coarsest)
        for level in reversed(range(len(finer))):
            side = self.lateral[level](finer[level])
            x = F.interpolate(x, size=side.shape[-2:], mode="bilinear", align_corners=False)
            x = self.smooth[level](side + x)
        return x if self.detail is None else self.detail(x, finest)


class Detail(nn.Module):
    """Carries the decoder's map on to the finest encoder map's resolution, in fewer channels."""

    def __init__(self, inputs: int, finest: int, width: int) -> None:
        super().__init__()
        self.reduce = conv_bn(inputs, width)
        self.lateral = conv_bn(finest, width)
        self.smooth = conv_bn(width, width, 3)

    def forward(self, x: Tensor, finest: Tensor) -> Tensor:
        x = F.interpolate(self.reduce(x), size=finest.shape[-2:], mode="bilinear", align_corners=False)
        smoothed: Tensor = self.smooth(self.lateral(finest) + x)
        return smoothed
