"""The detection head: centre heatmap and distances to the sides, from the shared decoder's map."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.models.layers import conv_bn, separable
from training.models.outputs import DetectionMaps

# Probability that an untrained heatmap gives to every cell, so that the many empty cells do not swamp the
# first steps (RetinaNet, https://arxiv.org/abs/1708.02002, section 3.3); CenterNet's value, a bias of -2.19.
PRIOR = 0.1
# Limits of the distances in cells: far beyond what a picture holds, yet finite and above zero in FP16.
SMALLEST, LARGEST = 2.0**-6, 2.0**10
# Untrained distance in cells: boxes of some 20 pixels at stride 4.
TYPICAL = 2.5
FINEST_STRIDE = 4


def _branch(width: int, outputs: int, bias: float, dense: bool) -> nn.Sequential:
    last = nn.Conv2d(width, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    assert last.bias is not None
    nn.init.constant_(last.bias, bias)
    return nn.Sequential(conv_bn(width, width, 3) if dense else separable(width), last)


class DetectionHead(nn.Module):
    """`forward(x float [N,channels,h,w])` -> `DetectionMaps` at the decoder's stride, or 4 if that is finer.

    Distances are exp of the size branch, as in FCOS.

    Args:
        channels, stride: of the decoder's map.
        things: number of thing classes.
        width: channels of the head.
        dense: full 3x3 convolutions in the branches, else separable ones.
    """

    def __init__(self, channels: int, stride: int, things: int, width: int = 64, dense: bool = False) -> None:
        super().__init__()
        step = max(1, FINEST_STRIDE // stride)
        self.stride = stride * step
        self.entry = conv_bn(channels, width, 3, stride=step) if step > 1 else conv_bn(channels, width)
        self.heatmap = _branch(width, things, -math.log((1 - PRIOR) / PRIOR), dense)
        self.size = _branch(width, 4, math.log(TYPICAL), dense)

    def forward(self, x: Tensor) -> DetectionMaps:
        x = self.entry(x)
        size = torch.clamp(self.size(x), math.log(SMALLEST), math.log(LARGEST)).exp()
        return DetectionMaps(self.heatmap(x), size, self.stride)
