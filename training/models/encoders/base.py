"""The interface of all encoders, and the form that follows torchvision's `features` list."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Encoder(nn.Module):
    """Feature pyramid of a classification network without its classifier.

    `forward(x float [N,3,H,W], normalized)` returns five maps at strides 2, 4, 8, 16, 32, sides rounded up.

    Attributes:
        channels: widths of the five maps.
        pixel_mean, pixel_std: normalization of RGB values 0..255 that the published weights expect.
        published_only: prefixes of keys that published state-dicts hold beyond the encoder (the classifier).
        own_only: prefixes of the encoder's keys that published state-dicts do not hold.
    """

    channels: tuple[int, ...]
    # ImageNet statistics as torchvision's weights use them, times 255.
    pixel_mean: ClassVar[tuple[float, float, float]] = (123.675, 116.28, 103.53)
    pixel_std: ClassVar[tuple[float, float, float]] = (58.395, 57.12, 57.375)
    published_only: tuple[str, ...] = ("classifier.",)
    own_only: tuple[str, ...] = ()


class SequentialEncoder(Encoder):
    """An encoder that is one list of layers, `features`, with its maps taken after the layers in `taps`."""

    taps: tuple[int, ...]
    features: nn.Sequential

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps


def round_channels(channels: float) -> int:
    """Nearest multiple of 8, never more than 10 % below `channels` (MobileNet's rule)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def initialize(module: nn.Module) -> None:
    """He's initialization by fan-out for convolutions (https://arxiv.org/abs/1502.01852), biases at zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
