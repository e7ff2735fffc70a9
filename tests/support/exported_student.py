"""A student for both tasks as the graph that ships; no answer of it hangs on the engines' rounding."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.support.tiny_nets import BOTH, CLASSES, THINGS
from training.export.graph import DeployedNet, write_onnx
from training.models.multi_task import MultiTaskNet
from training.models.spec import ModelSpec

SIZE = (60, 90)  # no whole number of the encoder's largest strides
DETECTIONS = 20


def export_student(path: Path) -> DeployedNet:
    """Write its graph and return the network."""
    torch.manual_seed(0)
    spec = ModelSpec.model_validate(
        {
            "encoder": "squeezenet1_1",
            "pretrained": False,
            "decoder": {"name": "bifpn", "width": 16, "repeats": 0},
            "tasks": BOTH,
        }
    )
    model = MultiTaskNet(spec, CLASSES, THINGS).eval()
    _spread_heatmap(model)
    net = DeployedNet(model, DETECTIONS)
    write_onnx(net, [str(index) for index in range(CLASSES)], SIZE, path)
    return net


def _spread_heatmap(model: MultiTaskNet) -> None:
    """Give the untrained heatmap a deviation of 2: its peaks are far apart then."""
    with torch.no_grad():
        logits = model(torch.rand(4, 3, *SIZE) * 255).detection.heatmap
        last = model.detection_head.heatmap[-1]
        last.weight.mul_(2 / logits.std())
        last.bias.sub_(logits.mean()).mul_(2 / logits.std())
