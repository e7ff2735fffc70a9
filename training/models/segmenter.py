"""The network that is trained, distilled and exported: encoder, decoder, segmentation head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.decoder import FpnDecoder, separable
from training.models.efficientnet_lite import PIXEL_MEAN, PIXEL_STD, EfficientNetLite, load_imagenet_weights
from training.recipe import ModelSpec


class Segmenter(nn.Module):
    """Semantic segmentation at a quarter of the input resolution, or half of it with a detail level.

    `forward(images float [N,3,H,W], RGB, 0..255)` returns logits float [N,C,H/s,W/s] (rounded up), s =
    `stride`.
    Normalization is part of the network, so that no caller can get it wrong. `upsample` brings logits to the
    input's resolution.
    """

    def __init__(self, spec: ModelSpec, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)
        self.encoder = EfficientNetLite(spec.encoder)
        self.decoder = FpnDecoder(
            self.encoder.channels, spec.decoder_width, spec.decoder_dense, spec.decoder_detail
        )
        self.stride = self.decoder.stride
        self.head = nn.Sequential(
            separable(self.decoder.out_channels),
            nn.Dropout2d(spec.dropout),
            nn.Conv2d(self.decoder.out_channels, classes, 1),
        )
        if spec.pretrained:
            load_imagenet_weights(self.encoder, spec.encoder)

    def forward(self, images: Tensor) -> Tensor:
        x = (images - self.mean) / self.std
        logits: Tensor = self.head(self.decoder(self.encoder(x)))
        return logits


def upsample(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits [N,C,h,w] -> [N,C,height,width], bilinear with half-pixel centres."""
    return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
