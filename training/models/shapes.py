"""The shapes of a pruned network's layers, and how a freshly built network is cut to them.

A pruned network is the recipe's network with some layers smaller. Its run folder therefore holds the recipe,
these shapes as JSON, and weights: nothing that runs code when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from training.errors import TrainingError

SHAPES = "shapes.json"
Shapes = Mapping[str, list[int]]


def shapes_of(model: nn.Module) -> dict[str, list[int]]:
    """Shape of the weight of every convolution, transposed or not, and batch norm, by the layer's name."""
    layers = model.named_modules()
    return {name: list(layer.weight.shape) for name, layer in layers if isinstance(layer, _CUT)}


def cut_to(model: nn.Module, shapes: Shapes) -> None:
    """Give the layers of `model` these shapes, in place; what they hold afterwards is the first channels.

    Depthwise convolutions stay depthwise, other grouped ones keep their number of groups.

    Raises:
        TrainingError: shapes of another network, or layers larger than they are.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, _CUT)}
    for name in layers.keys() ^ shapes.keys():
        raise TrainingError(f"{SHAPES}: layer '{name}' is not in both file and network: another recipe's?")
    for name, layer in layers.items():
        before, after = list(layer.weight.shape), shapes[name]
        if len(before) != len(after) or any(
            not 0 < new <= old for new, old in zip(after, before, strict=True)
        ):
            raise TrainingError(f"{SHAPES}: layer '{name}' is {before}, which cannot be cut to {after}")
        if before != after:
            _cut(layer, after)


def read_shapes(folder: Path) -> dict[str, list[int]] | None:
    """Shapes that a run folder holds; None where nothing was pruned.

    Raises:
        TrainingError: not the JSON that pruning writes.
    """
    path = folder / SHAPES
    if not path.is_file():
        return None
    try:
        return {
            str(name): [int(side) for side in shape] for name, shape in json.loads(path.read_text()).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is not layer names with shapes: {error}") from error


def write_shapes(folder: Path, shapes: Shapes) -> None:
    """One layer a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in shapes.items())
    (folder / SHAPES).write_text("{\n" + ",\n".join(lines) + "\n}\n")


_CUT = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)


def _cut(layer: nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d, shape: list[int]) -> None:
    if isinstance(layer, nn.BatchNorm2d):
        outputs = layer.num_features = shape[0]
        for name in ("running_mean", "running_var"):
            setattr(layer, name, getattr(layer, name)[:outputs].clone())
    else:
        if layer.groups == layer.in_channels == layer.out_channels:
            layer.groups = shape[0]
        outputs, inputs = shape[0], shape[1] * layer.groups
        if isinstance(layer, nn.ConvTranspose2d):  # its weight has inputs first
            outputs, inputs = inputs, outputs
        layer.in_channels, layer.out_channels = inputs, outputs
    corner = tuple(slice(side) for side in shape)
    layer.weight = nn.Parameter(layer.weight.detach()[corner].clone())
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[:outputs].clone())
