"""Light feature-pyramid decoder of operators that inference engines fuse: conv, add, resize, pooling.

Top-down pathway after Lin et al., "Feature Pyramid Networks" (CVPR 2017, https://arxiv.org/abs/1612.03144);
the coarsest level also carries the mean feature of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import Context, conv_bn, enlarge, separable


class FpnDecoder(Decoder):
    """Encoder maps at strides 2..32 (fine to coarse) -> one map float [N, out_channels, H/s, W/s].

    `dense` replaces separable convolutions by full 3x3 ones at all levels but the finest: more work, but
    rare classes are learnt in fewer epochs. `detail` > 0 adds a last level of so many channels at stride 2,
    for what is only a few pixels wide (poles, signs); without it the finest level is stride 4.
    """

    def __init__(
        self, channels: Sequence[int], width: int = 96, dense: bool = False, detail: int = 0
    ) -> None:
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
            x = self.smooth[level](side + enlarge(x, 2, side.shape[-2:]))
        return x if self.detail is None else self.detail(x, finest)


class Detail(nn.Module):
    """Carries the decoder's map on to the finest encoder map's resolution, in fewer channels."""

    def __init__(self, inputs: int, finest: int, width: int) -> None:
        super().__init__()
        self.reduce = conv_bn(inputs, width)
        self.lateral = conv_bn(finest, width)
        self.smooth = conv_bn(width, width, 3)

    def forward(self, x: Tensor, finest: Tensor) -> Tensor:
        smoothed: Tensor = self.smooth(self.lateral(finest) + enlarge(self.reduce(x), 2, finest.shape[-2:]))
        return smoothed
