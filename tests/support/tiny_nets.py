"""Networks small enough to prune, quantize and pack in a blink."""

from __future__ import annotations

import torch
from torch import nn

from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs
from training.models.spec import ModelSpec

BOTH = ("segmentation", "detection")
CLASSES, THINGS, SIZE = 11, (8, 9, 10), (32, 64)


def tiny_net(seed: int = 0, **changes: object) -> MultiTaskNet:
    """Both tasks, random weights, eval mode; a Lite0 of a quarter's width unless `changes` say otherwise."""
    torch.manual_seed(seed)
    values = {
        "pretrained": False,
        "tasks": BOTH,
        "width_multiplier": 0.25,
        "decoder": {"name": "fpn", "width": 16},
        **changes,
    }
    return MultiTaskNet(ModelSpec.model_validate(values), CLASSES, THINGS).eval()


def frame(seed: int = 1) -> torch.Tensor:
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed)) * 255


@torch.inference_mode()
def answers(model: nn.Module) -> list[torch.Tensor]:
    out: Outputs = model(frame())
    assert out.logits is not None
    assert out.detection is not None
    return [out.logits, out.detection.heatmap, out.detection.size]
