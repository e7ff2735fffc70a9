"""SqueezeNet 1.1 encoder.

Iandola et al., "SqueezeNet" (https://arxiv.org/abs/1602.07360), in the authors' version 1.1, 2.4 times
cheaper than 1.0; parameter names are torchvision's. Two things differ from the classifier: convolution and
pooling pad by one, so that strides are exact, and one more Fire module, which no published weights hold,
works at stride 32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.models.encoders.base import SequentialEncoder


class Fire(nn.Module):
    """Squeeze to few channels by 1x1, expand by 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat((self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))), 1)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, padding=1)


class SqueezeNet(SequentialEncoder):
    """Feature pyramid of SqueezeNet 1.1; the paper has no width multiplier, so there is none.

    Raises:
        TrainingError: a width multiplier other than 1.
    """

    own_only = ("coarse.",)
    taps = (1, 4, 7, 12)

    def __init__(self, width_multiplier: float = 1.0) -> None:
        super().__init__()
        if width_multiplier != 1:
            raise TrainingError(
                f"squeezenet1_1 has no width multiplier (got {width_multiplier:g}): leave it at 1 or take "
                "a MobileNet or EfficientNet-Lite encoder"
            )
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, padding=1),
            nn.ReLU(inplace=True),
            _pool(),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            _pool(),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            _pool(),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        self.coarse = nn.Sequential(_pool(), Fire(512, 64, 256))
        self.channels = (64, 128, 256, 512, 512)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = super().forward(x)
        return [*maps, self.coarse(maps[-1])]
