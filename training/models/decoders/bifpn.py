"""Light bidirectional feature pyramid.

Tan, Pang & Le, "EfficientDet" (CVPR 2020, https://arxiv.org/abs/1911.09070), section 3.2: top-down, then
bottom-up, the encoder's map added once more on the way up, cells repeated. Maps are summed without learned
weights, as the authors' EfficientDet-Lite models for integer engines do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from training.models.decoders.base import Decoder
from training.models.layers import Context, conv_bn, enlarge, separable


class TopDown(nn.Module):
    """Carries coarse meaning to fine maps: list of maps (fine to coarse) -> list of the same shapes."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.smooth = nn.ModuleList(separable(width) for _ in range(levels - 1))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        x = maps[-1]
        result = [x]
        for level in reversed(range(len(maps) - 1)):
            x = self.smooth[level](maps[level] + enlarge(x, 2, maps[level].shape[-2:]))
            result.insert(0, x)
        return result


class Cell(nn.Module):
    """Top-down, then bottom-up with the cell's own inputs added again."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.top_down = TopDown(width, levels)
        self.smooth = nn.ModuleList(separable(width) for _ in range(levels - 1))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        down = self.top_down(maps)
        result = [down[0]]
        for level in range(1, len(maps)):
            x = maps[level] + F.max_pool2d(result[-1], 3, 2, padding=1)
            # At the coarsest level the top-down path passes the input on unchanged: it is added once.
            x = x if level == len(maps) - 1 else x + down[level]
            result.append(self.smooth[level - 1](x))
        return result


class BifpnDecoder(Decoder):
    """`repeats` bidirectional cells over strides 4 to 32, then one last top-down pass to stride 4."""

    stride = 4

    def __init__(self, channels: Sequence[int], width: int = 64, repeats: int = 2) -> None:
        super().__init__()
        _, *finer, coarsest = channels
        levels = len(finer) + 1
        self.lateral = nn.ModuleList(conv_bn(c, width) for c in finer)
        self.context = Context(coarsest, width)
        self.cells = nn.ModuleList(Cell(width, levels) for _ in range(repeats))
        self.last = TopDown(width, levels)
        self.out_channels = width

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        _, *finer, coarsest = features
        maps = [lateral(x) for lateral, x in zip(self.lateral, finer, strict=True)]
        maps.append(self.context(coarsest))
        for cell in self.cells:
            maps = cell(maps)
        finest: Tensor = self.last(maps)[0]
        return finest
