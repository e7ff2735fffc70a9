"""Two-branch decoder: a branch that stays at stride 8 takes context from the encoder's deep maps.

After Pan et al., "Deep Dual-Resolution Networks" (DDRNet, https://arxiv.org/abs/2101.06085) and Xu et al.,
"PIDNet" (CVPR 2023, https://arxiv.org/abs/2206.02066). There the two branches exchange maps both ways while
the deep one is computed; here the deep branch is the encoder as it is, so fusion goes one way, deep to
high-resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import conv_bn, enlarge

# (kernel, stride) of the average pools in PAPPM
POOLS = ((5, 2), (9, 4), (17, 8))


class PyramidPooling(nn.Module):
    """Context at several scales side by side: PIDNet's PAPPM.

    Pooled maps pass a 1x1 convolution, are brought back and added to the unpooled one; one grouped
    convolution filters all of them at once. Convolutions come before their batch norm, so that engines can
    fuse them.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        scales = len(POOLS) + 1
        self.local = conv_bn(inputs, width)
        self.pooled = nn.ModuleList(conv_bn(inputs, width) for _ in POOLS)
        # One value a channel: no batch norm, which cannot train on a batch of one such value.
        self.scene = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU6(inplace=True))
        self.filter = conv_bn(scales * width, scales * width, 3, groups=scales)
        self.compress = conv_bn((scales + 1) * width, width)
        self.shortcut = conv_bn(inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        local = self.local(x)
        parts = [local + self.scene(x.mean((2, 3), keepdim=True))]
        for (kernel, stride), layer in zip(POOLS, self.pooled, strict=True):
            small = F.avg_pool2d(x, kernel, stride, padding=kernel // 2, count_include_pad=False)
            parts.append(local + enlarge(layer(small), stride, x.shape[-2:]))
        filtered = self.filter(torch.cat(parts, 1))
        context: Tensor = self.compress(torch.cat((local, filtered), 1)) + self.shortcut(x)
        return context


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, as in ResNet."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_bn(width, width, 3)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(x + self.second(self.first(x)))
        return y


class TwoBranchDecoder(Decoder):
    """High-resolution branch of `blocks` residual blocks after each fusion with a deep map; stride 8."""

    stride = 8

    def __init__(self, channels: Sequence[int], width: int = 64, blocks: int = 1) -> None:
        super().__init__()
        _, _, fine, middle, deep = channels
        self.entry = conv_bn(fine, width)
        self.middle = conv_bn(middle, width)
        self.deep = PyramidPooling(deep, width)
        self.refine = nn.ModuleList(
            nn.Sequential(*(Residual(width) for _ in range(blocks))) for _ in range(2)
        )
        self.out_channels = width

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        _, _, fine, middle, deep = features
        x: Tensor = self.entry(fine)
        x = self.refine[0](x + enlarge(self.middle(middle), 2, x.shape[-2:]))
        refined: Tensor = self.refine[1](x + enlarge(self.deep(deep), 4, x.shape[-2:]))
        return refined
