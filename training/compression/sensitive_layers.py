"""The fewest convolutions to leave in FP32 so that an INT8 graph keeps its scores."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from faster_coco_eval import mask
from numpy.typing import NDArray
from rich.progress import track

from distill_perception.bundle import GRAPH_INPUT
from training.compression.quantize import Quantizer
from training.errors import TrainingError
from training.export.session import cpu_session

FRAMES = 4  # each layer's error is measured on


def fewest_float_layers(
    quantizer: Quantizer,
    source: Path,
    frames: Sequence[NDArray[np.uint8]],
    fits: Callable[[Collection[str]], bool],
    most: int,
    kept: Collection[str] = (),
) -> list[str]:
    """Layers to leave in FP32: none if that fits, else so few of the most sensitive that none can be spared.

    The shortest beginning of their order that fits, less whatever it can do without, tried one by one.

    Args:
        source: the float graph. frames: uint8 [H,W,3] each.
        fits: whether the scores hold with these layers in FP32.
        most: layers that may stay in FP32, besides `kept`, which do in any case.

    Raises:
        TrainingError: `most` layers are not enough.
    """
    if fits(()):
        return []
    errors = layer_errors(quantizer, source, frames[:: max(1, len(frames) // FRAMES)][:FRAMES])
    order = sorted((layer for layer in errors if layer not in kept), key=lambda layer: -errors[layer])[:most]
    if not fits(order):
        worst = ", ".join(order[:3])
        raise TrainingError(
            f"INT8 loses more than its budget even with the {len(order)} most sensitive layers in FP32 "
            f"({worst}, ...): raise max_float_layers or the budget, choose another calibrator, or use qat"
        )
    low, high = 1, len(order)
    while low < high:  # more layers in FP32 are taken to be no worse
        middle = (low + high) // 2
        low, high = (low, middle) if fits(order[:middle]) else (middle + 1, high)
    found = order[:low]
    for layer in reversed(order[: low - 1]):  # the last one is needed; those before it may not be, beside it
        others = [other for other in found if other != layer]
        if fits(others):
            found = others
    return found


def layer_errors(quantizer: Quantizer, source: Path, frames: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """How far the graph's outputs go from the float graph's when one convolution alone is in INT8.

    The share of mask pixels that change plus the mean change of the detections' scores, by layer.
    """
    full = _outputs(source, frames)
    errors = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "one.onnx"
        for layer in track(quantizer.layers, "sensitivity of layers", transient=True):
            quantizer.write(path, [other for other in quantizer.layers if other != layer])
            errors[layer] = _difference(full, _outputs(path, frames))
    return errors


def _outputs(path: Path, frames: Sequence[NDArray[np.uint8]]) -> list[dict[str, NDArray[np.float64]]]:
    session = cpu_session(path)
    names = [item.name for item in session.get_outputs()]
    answers = [session.run(None, {GRAPH_INPUT: frame[None]}) for frame in frames]
    return [dict(zip(names, answer, strict=True)) for answer in answers]


def _difference(
    full: Sequence[dict[str, NDArray[np.float64]]], found: Sequence[dict[str, NDArray[np.float64]]]
) -> float:
    total = 0.0
    for one, other in zip(full, found, strict=True):
        if "mask" in one:
            total += float((one["mask"] != other["mask"]).mean())
        if "scores" in one:
            total += float(np.abs(one["scores"] - other["scores"]).mean())
        if "boxes" in one:
            total += _moved(one["boxes"][0], other["boxes"][0], one["scores"][0])
    return total / len(full)


def _moved(boxes: NDArray[np.float64], others: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """1 - IoU of each box [K,4] with the best of the others, mean by score [K]."""
    corner_and_size = (
        np.hstack([item[:, :2], item[:, 2:] - item[:, :2]]).astype(np.float64) for item in (boxes, others)
    )
    best = mask.iou(*corner_and_size, np.zeros(len(others), np.uint8)).max(1)
    return float(((1 - best) * scores).sum() / max(float(scores.sum()), 1e-9))
