"""DeepLabV3+: atrous spatial pyramid pooling and a low-level skip.

Chen et al., "Encoder-Decoder with Atrous Separable Convolution" (ECCV 2018, https://arxiv.org/abs/1802.02611),
figure 2. The paper keeps its last encoder stage at stride 16 by dilation; encoders here end at stride 32, so
the pyramid reads the stride-16 map joined with the upsampled stride-32 one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import conv_bn, enlarge


class AtrousPyramid(nn.Module):
    """1x1 convolution, 3x3 convolutions of several dilations and the picture's mean, side by side (ASPP)."""

    def __init__(self, inputs: int, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_bn(inputs, width), *(conv_bn(inputs, width, 3, rate) for rate in dilations)]
        )
        # One value a channel: no batch norm, which cannot train on a batch of one such value.
        self.scene = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.ReLU6(inplace=True))
        self.fuse = conv_bn((len(dilations) + 2) * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.branches]
        parts.append(self.scene(x.mean((2, 3), keepdim=True)).expand_as(parts[0]))
        fused: Tensor = self.fuse(torch.cat(parts, 1))
        return fused


class DeepLabV3PlusDecoder(Decoder):
    """ASPP at stride 16, joined at stride 4 with `low_level` channels of the encoder's map there."""

    stride = 4

    def __init__(
        self,
        channels: Sequence[int],
        width: int = 256,
        low_level: int = 48,
        dilations: Sequence[int] = (6, 12, 18),
    ) -> None:
        super().__init__()
        _, fine, _, middle, deep = channels
        self.pyramid = AtrousPyramid(middle + deep, width, dilations)
        self.low_level = conv_bn(fine, low_level)
        self.refine = nn.Sequential(conv_bn(width + low_level, width, 3), conv_bn(width, width, 3))
        self.out_channels = width

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        _, fine, _, middle, deep = features
        context = self.pyramid(torch.cat((middle, enlarge(deep, 2, middle.shape[-2:])), 1))
        refined: Tensor = self.refine(
            torch.cat((enlarge(context, 4, fine.shape[-2:]), self.low_level(fine)), 1)
        )
        return refined
