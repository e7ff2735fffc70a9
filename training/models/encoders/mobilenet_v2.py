"""MobileNetV2 encoder: inverted residuals with linear bottlenecks.

Sandler et al., "MobileNetV2" (CVPR 2018, https://arxiv.org/abs/1801.04381), table 2; parameter names are
torchvision's. The last 1x1 convolution (320 -> 1280) belongs to the classifier and is left out.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.models.encoders.base import SequentialEncoder, initialize, round_channels

# (expansion t, channels c, repeats n, stride s), table 2 of the paper
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS = 32


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter by depthwise 3x3, project without activation; residual where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [_conv(inputs, hidden, 1)] if expansion != 1 else []
        layers += [
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self._residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self._residual else y


class MobileNetV2(SequentialEncoder):
    """Feature pyramid of MobileNetV2 at any width multiplier (paper, section 4)."""

    # The 1280-channel convolution before the classifier is features.18.
    published_only = ("classifier.", "features.18.")
    taps = (1, 3, 6, 13, 17)

    def __init__(self, width_multiplier: float = 1.0) -> None:
        super().__init__()
        inputs = round_channels(STEM_CHANNELS * width_multiplier)
        layers: list[nn.Module] = [_conv(3, inputs, 3, 2)]
        widths = [inputs]
        for expansion, channels, repeats, stride in STAGES:
            outputs = round_channels(channels * width_multiplier)
            for repeat in range(repeats):
                layers.append(InvertedResidual(inputs, outputs, stride if repeat == 0 else 1, expansion))
                widths.append(outputs)
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.channels = tuple(widths[tap] for tap in self.taps)
        initialize(self)
