"""SegNet-like decoder: maps grow by max-unpooling, with the places of the encoder's maxima.

Badrinarayanan, Kendall & Cipolla, "SegNet" (https://arxiv.org/abs/1511.00561), section 3. SegNet's encoder is
pooled, so its indices are at hand; encoders with strided convolutions have none, and the indices are those of
a 2x2 pooling of their own map at the finer stride. Only places pass from encoder to decoder, no features, so
the decoder mirrors the encoder's widths. For teachers: TensorRT has no max-unpooling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import conv_bn


def unpool(x: Tensor, pattern: Tensor) -> Tensor:
    """Put the values of `x` [N,C,h,w] where `pattern` [N,C,H,W] has its 2x2 maxima, zeros elsewhere."""
    _, places = F.max_pool2d(pattern, 2, ceil_mode=True, return_indices=True)
    return F.max_unpool2d(x, places, 2, output_size=pattern.shape[-2:])


class SegNetDecoder(Decoder):
    """Unpooling from stride 32 to 2, each step densified by `convs` full 3x3 convolutions."""

    stride = 2

    def __init__(self, channels: Sequence[int], width: int = 64, convs: int = 2) -> None:
        super().__init__()
        levels = range(len(channels) - 1)
        self.match = nn.ModuleList(conv_bn(channels[i + 1], channels[i], 3) for i in levels)
        self.densify = nn.ModuleList(
            nn.Sequential(*(conv_bn(channels[i], channels[i], 3) for _ in range(convs))) for i in levels
        )
        self.last = conv_bn(channels[0], width, 3)
        self.out_channels = width

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        for level in reversed(range(len(features) - 1)):
            x = self.densify[level](unpool(self.match[level](x), features[level]))
        last: Tensor = self.last(x)
        return last
