"""FCN-8s: scores at strides 32, 16 and 8, each brought to the next by learned upsampling and added.

Long, Shelhamer & Darrell, "Fully Convolutional Networks" (CVPR 2015, https://arxiv.org/abs/1411.4038),
section 4 and figure 3. The paper's class scores are `width` channels here, so that heads of several tasks can
share them. For teachers: its transposed convolutions are not made for integer engines.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import conv_bn


def bilinear_upsampling(channels: int) -> nn.ConvTranspose2d:
    """Learned doubling of the resolution, channel by channel, that begins as bilinear interpolation."""
    layer = nn.ConvTranspose2d(channels, channels, 4, 2, padding=1, groups=channels, bias=False)
    taper = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.copy_(torch.outer(taper, taper).expand_as(layer.weight))
    return layer


class Fcn8sDecoder(Decoder):
    """Two convolutions of `hidden` channels on the coarsest map, as fc6 and fc7; skips start at zero."""

    stride = 8

    def __init__(self, channels: Sequence[int], width: int = 128, hidden: int = 512) -> None:
        super().__init__()
        _, _, *skips, coarsest = channels
        self.classify = nn.Sequential(
            conv_bn(coarsest, hidden, 3),
            nn.Dropout2d(0.5),
            conv_bn(hidden, hidden),
            nn.Dropout2d(0.5),
            nn.Conv2d(hidden, width, 1),
        )
        self.skips = nn.ModuleList(nn.Conv2d(c, width, 1) for c in skips)
        for skip in self.skips:
            nn.init.zeros_(skip.weight)
            nn.init.zeros_(skip.bias)
        self.up = nn.ModuleList(bilinear_upsampling(width) for _ in skips)
        self.out_channels = width

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        _, _, *skips, coarsest = features
        x: Tensor = self.classify(coarsest)
        for level in reversed(range(len(skips))):
            scores = self.skips[level](skips[level])
            # Twice the size may be one row or column more than an odd map has.
            x = scores + self.up[level](x)[..., : scores.shape[2], : scores.shape[3]]
        return x
