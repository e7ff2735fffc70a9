"""MobileNetV3 encoders, large and small: inverted residuals with squeeze-excite and hard-swish.

Howard et al., "Searching for MobileNetV3" (ICCV 2019, https://arxiv.org/abs/1905.02244), tables 1 and 2;
parameter names are torchvision's. Squeeze-excite is kept: mean, two 1x1 convolutions, hard-sigmoid and a
product, each an operator that TensorRT has. The last 1x1 convolution belongs to the classifier and is left
out.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from training.models.encoders.base import SequentialEncoder, initialize, round_channels

STEM_CHANNELS = 16


class Row(NamedTuple):
    """A block as the paper's tables list it: channels expanded and out, SE, hard-swish or else ReLU."""

    kernel: int
    expanded: int
    outputs: int
    squeeze: bool
    hard_swish: bool
    stride: int


LARGE = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2),
    Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2),
    Row(5, 120, 40, True, False, 1),
    Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2),
    Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1),
    Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2),
    Row(5, 960, 160, True, True, 1),
    Row(5, 960, 160, True, True, 1),
)
SMALL = (
    Row(3, 16, 16, True, False, 2),
    Row(3, 72, 24, False, False, 2),
    Row(3, 88, 24, False, False, 1),
    Row(5, 96, 40, True, True, 2),
    Row(5, 240, 40, True, True, 1),
    Row(5, 240, 40, True, True, 1),
    Row(5, 120, 48, True, True, 1),
    Row(5, 144, 48, True, True, 1),
    Row(5, 288, 96, True, True, 2),
    Row(5, 576, 96, True, True, 1),
    Row(5, 576, 96, True, True, 1),
)
# variant -> rows, and the layers after which the resolution is about to halve
VARIANTS = {
    "mobilenet_v3_large": (LARGE, (1, 3, 6, 12, 15)),
    "mobilenet_v3_small": (SMALL, (0, 1, 3, 8, 11)),
}


def _conv(
    inputs: int, outputs: int, kernel: int, activation: nn.Module | None, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation]))


class SqueezeExcite(nn.Module):
    """Scales each channel by what the picture's mean says (https://arxiv.org/abs/1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = round_channels(channels // 4)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.gate(self.fc2(self.relu(self.fc1(x.mean((2, 3), keepdim=True)))))
        return x * scale


class InvertedResidual(nn.Module):
    """Expand, filter, squeeze-excite, project; residual where shapes allow."""

    def __init__(self, inputs: int, row: Row) -> None:
        super().__init__()
        activation = nn.Hardswish if row.hard_swish else nn.ReLU
        expanded, kernel = row.expanded, row.kernel
        layers: list[nn.Module] = []
        if expanded != inputs:
            layers.append(_conv(inputs, expanded, 1, activation(inplace=True)))
        layers.append(_conv(expanded, expanded, kernel, activation(inplace=True), row.stride, expanded))
        if row.squeeze:
            layers.append(SqueezeExcite(expanded))
        layers.append(_conv(expanded, row.outputs, 1, None))
        self.block = nn.Sequential(*layers)
        self._residual = row.stride == 1 and inputs == row.outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self._residual else y


class MobileNetV3(SequentialEncoder):
    """Feature pyramid of MobileNetV3 `mobilenet_v3_large` or `mobilenet_v3_small` at any width multiplier."""

    def __init__(self, variant: str, width_multiplier: float = 1.0) -> None:
        super().__init__()
        rows, self.taps = VARIANTS[variant]
        inputs = round_channels(STEM_CHANNELS * width_multiplier)
        layers: list[nn.Module] = [_conv(3, inputs, 3, nn.Hardswish(inplace=True), stride=2)]
        widths = [inputs]
        for row in rows:
            scaled = row._replace(
                expanded=round_channels(row.expanded * width_multiplier),
                outputs=round_channels(row.outputs * width_multiplier),
            )
            layers.append(InvertedResidual(inputs, scaled))
            inputs = scaled.outputs
            widths.append(inputs)
        self.features = nn.Sequential(*layers)
        # The convolution between the last block and the classifier.
        self.published_only = ("classifier.", f"features.{len(layers)}.")
        self.channels = tuple(widths[tap] for tap in self.taps)
        initialize(self)
