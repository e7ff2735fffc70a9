"""Encoders by name: feature pyramids of classification networks that run well on small devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from distill_perception.strict import did_you_mean
from training.errors import TrainingError
from training.models.encoders import efficientnet_lite, mobilenet_v3
from training.models.encoders.base import Encoder
from training.models.encoders.efficientnet_lite import EfficientNetLite
from training.models.encoders.mobilenet_v2 import MobileNetV2
from training.models.encoders.mobilenet_v3 import MobileNetV3
from training.models.encoders.squeezenet import SqueezeNet
from training.models.encoders.weights import imagenet_weights, load_weights

__all__ = ["ENCODERS", "Encoder", "build_encoder"]

# name -> constructor that takes the width multiplier
ENCODERS: dict[str, Callable[[float], Encoder]] = {
    **{name: partial(EfficientNetLite, name) for name in efficientnet_lite.VARIANTS},
    "mobilenet_v2": MobileNetV2,
    **{name: partial(MobileNetV3, name) for name in mobilenet_v3.VARIANTS},
    "squeezenet1_1": SqueezeNet,
}


def build_encoder(name: str, width_multiplier: float = 1.0, pretrained: bool | Path = False) -> Encoder:
    """An encoder by name.

    Args:
        name: a key of `ENCODERS`.
        width_multiplier: scales the number of channels, where the network's paper does so.
        pretrained: true for ImageNet weights from the encoder's pip package, or the path of a state-dict
            (.pth, .safetensors) with the names that its authors or torchvision publish.

    Raises:
        TrainingError: unknown name, width multiplier that the network lacks, or weights that do not fit.
    """
    if name not in ENCODERS:
        raise TrainingError(f"model.encoder: unknown encoder '{name}' ({did_you_mean(name, ENCODERS)})")
    encoder = ENCODERS[name](width_multiplier)
    if isinstance(pretrained, Path):
        load_weights(encoder, pretrained, name)
    elif pretrained:
        if width_multiplier != 1:
            raise TrainingError(
                f"model.pretrained: ImageNet weights of {name} exist for width multiplier 1, not "
                f"{width_multiplier:g}: set `pretrained: false` or `width_multiplier: 1`"
            )
        load_weights(encoder, imagenet_weights(name), name)
    return encoder
