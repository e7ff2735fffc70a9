"""Frames as a checkpoint wants them, on the frames' device and without torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.errors import TrainingError
from training.teachers.huggingface.input_size import checkpoint_size, image_size

SizeRule = str | tuple[int, int]
# PIL's numbers, which preprocessor_config.json uses; Lanczos (1) has no torch form, bicubic is its nearest.
_RESAMPLE = {0: "nearest-exact", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


class Preprocess(nn.Module):
    """Resize, rescale and normalize as a `preprocessor_config.json` says.

    `forward(images float [N,3,H,W], RGB, 0..255)` returns pixel values float [N,3,h,w].

    Args:
        config: the file's content; what it leaves out is as transformers has it (rescale by 1/255; ImageNet
            mean and deviation).
        size: "checkpoint" for the file's own size rule, "image" for the frame's size, or (height, width).

    Raises:
        TrainingError: a resampling filter that is not known.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: Mapping[str, Any], size: SizeRule) -> None:
        super().__init__()
        self.config = dict(config)
        self.size = size
        resample = config.get("resample", 2)
        if resample not in _RESAMPLE:
            raise TrainingError(
                f"preprocessor_config.json: resample {resample!r} is none of {list(_RESAMPLE)}"
            )
        self.mode = _RESAMPLE[resample]
        normalize = config.get("do_normalize", True)
        scale = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
        mean = _three(config.get("image_mean", _IMAGENET_MEAN)) if normalize else torch.zeros(3)
        std = _three(config.get("image_std", _IMAGENET_STD)) if normalize else torch.ones(3)
        # (x * scale - mean) / std as one subtraction and division of pixel values.
        self.register_buffer("mean", (mean / scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", (std / scale).view(1, 3, 1, 1), persistent=False)
        self.bgr = bool(config.get("do_flip_channel_order", False))

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a frame is brought to."""
        if self.size == "checkpoint":
            return checkpoint_size(self.config, height, width)
        return image_size(height, width) if isinstance(self.size, str) else self.size

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        target = self.input_size(height, width)
        if target != (height, width):
            images = F.interpolate(images, target, mode=self.mode, antialias=self.mode != "nearest-exact")
            images = images.clamp(0, 255)  # bicubic overshoots
        pixels = (images - self.mean) / self.std
        return pixels.flip(1) if self.bgr else pixels


def _three(value: float | list[float] | tuple[float, ...]) -> Tensor:
    return torch.tensor(value, dtype=torch.float32).expand(3).clone()
