"""Toy networks to distil: convolutions of other widths and strides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.outputs import DetectionMaps, Outputs


class Toy(nn.Module):
    """Stem (two maps, the second at `stride`), neck of `width` channels, 3 classes, one of them a thing."""

    def __init__(self, width: int, stride: int, detects: bool = True) -> None:
        super().__init__()
        self.stem = Stem(width, stride)
        self.neck = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Conv2d(width, 3, 1)
        self.heatmap = nn.Conv2d(width, 1, 1) if detects else None
        self.size = nn.Conv2d(width, 4, 1)
        self.spare = nn.Identity()
        self.stride = stride

    def forward(self, images: Tensor) -> Outputs:
        x = self.neck(self.stem(images / 255)[1])
        if self.heatmap is None:
            return Outputs(self.head(x))
        return Outputs(self.head(x), DetectionMaps(self.heatmap(x), self.size(x).exp(), self.stride))


class Stem(nn.Module):
    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, stride, stride=stride)

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.first(x)
        return [first, self.second(first)]


def frames(count: int = 2, size: int = 16, seed: int = 0) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(seed)
    ).float()
