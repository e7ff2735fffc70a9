"""The network that is trained, distilled and exported: encoder, shared decoder, a head for each task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.models.decoders import build_decoder
from training.models.detection.head import DetectionHead
from training.models.encoders import build_encoder
from training.models.layers import separable
from training.models.outputs import Outputs
from training.models.spec import ModelSpec


def segmentation_head(channels: int, classes: int, dropout: float) -> nn.Sequential:
    """One separable convolution, channel dropout, classifier: float [N,channels,h,w] -> [N,classes,h,w]."""
    return nn.Sequential(separable(channels), nn.Dropout2d(dropout), nn.Conv2d(channels, classes, 1))


class MultiTaskNet(nn.Module):
    """Segmentation, detection or both from one encoder and decoder.

    `forward(images float [N,3,H,W], RGB, 0..255)` returns `Outputs`. Normalization is part of the network, so
    that no caller can get it wrong.

    Args:
        spec: the recipe's model section.
        classes: number of classes, void not counted.
        things: class ids that are detected, in order; the heatmap has one channel for each.

    Attributes:
        stride: of the decoder's map, hence of the segmentation logits.
        things: int64 [T], as given.

    Raises:
        TrainingError: an encoder or weights that cannot be had, or detection without a thing class.
    """

    mean: Tensor
    std: Tensor
    things: Tensor

    def __init__(self, spec: ModelSpec, classes: int, things: Sequence[int] = ()) -> None:
        super().__init__()
        self.encoder = build_encoder(spec.encoder, spec.width_multiplier, spec.pretrained)
        self.register_buffer("mean", torch.tensor(self.encoder.pixel_mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.pixel_std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("things", torch.tensor(list(things), dtype=torch.int64), persistent=False)
        self.decoder = build_decoder(spec.decoder, self.encoder.channels)
        self.stride = self.decoder.stride
        channels = self.decoder.out_channels
        self.head = (
            segmentation_head(channels, classes, spec.dropout) if "segmentation" in spec.tasks else None
        )
        self.detection_head = None
        if "detection" in spec.tasks:
            if not things:
                raise TrainingError("model.tasks: detection needs a class set with things; this one has none")
            self.detection_head = DetectionHead(
                channels, self.stride, len(things), spec.detection.width, spec.detection.dense
            )

    @property
    def box_stride(self) -> int:
        """Pixels a cell of the detection maps; the decoder's where nothing is detected."""
        return self.stride if self.detection_head is None else self.detection_head.stride

    def forward(self, images: Tensor) -> Outputs:
        x = self.decoder(self.encoder((images - self.mean) / self.std))
        return Outputs(
            logits=None if self.head is None else self.head(x),
            detection=None if self.detection_head is None else self.detection_head(x),
        )


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
