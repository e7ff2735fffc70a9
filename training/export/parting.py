"""How far an engine's logits are from torch's, and at which layer it parts: inner tensors of the graph."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_perception.bundle import GRAPH_INPUT
from distill_perception.engines.openvino import core
from training.export.graph import DeployedNet
from training.export.layers import conv_nodes, show_tensors
from training.export.session import cpu_session

TOLERANCE = 1e-3  # of the largest value that the layer gives

Outputs = list[NDArray[np.float32]]


def parting_layer(net: DeployedNet, path: Path, frame: NDArray[np.uint8], engine: str) -> str:
    """One sentence that names the first layer whose output differs; what feeds it agrees.

    Showing inner tensors keeps an engine from some fusions, so a fault of a fusion may not be found.

    Args:
        path: the exported float graph. frame: uint8 [H,W,3] of the graph's size.
    """
    nodes = conv_nodes(onnx.load(path).graph)
    if engine not in RUNNERS:
        return ""
    expected = torch_outputs(net, frame)
    found = RUNNERS[engine](path, [node.output[0] for node in nodes.values()], frame[None])
    for layer, value in zip(nodes, found, strict=True):
        reference = expected[layer]
        difference, largest = float(np.abs(value - reference).max()), float(np.abs(reference).max())
        if difference > TOLERANCE * max(largest, TOLERANCE):
            return f"the first layer that differs is {layer}, by {difference:.3g} of {largest:.3g}"
    return "all convolutions agree: the difference comes after the last one"


def widening_layer(full: Path, reduced: Path, frame: NDArray[np.uint8], engine: str) -> str:
    """One sentence that names the layer at which a reduced form's error grows most; empty if none shows.

    The error of a layer's output is |reduced - full| / |full|, Euclidean norms over all of it; what it grows
    by is counted from the layer before it in the graph's order.

    Args:
        full: the exported float graph. reduced: INT8, FP16 or FP8 made from it, which `engine` runs.
        frame: uint8 [H,W,3] of the graphs' size.
    """
    made = {name for node in onnx.load(reduced).graph.node for name in node.output}
    nodes = conv_nodes(onnx.load(full).graph)
    outputs = {layer: node.output[0] for layer, node in nodes.items() if node.output[0] in made}
    if not outputs or engine not in RUNNERS:
        return ""
    names = list(outputs.values())
    expected, found = (
        RUNNERS["onnxruntime"](full, names, frame[None]),
        RUNNERS[engine](reduced, names, frame[None]),
    )
    errors = [
        float(np.linalg.norm(value.astype(np.float64) - wanted) / max(float(np.linalg.norm(wanted)), 1e-12))
        for wanted, value in zip(expected, found, strict=True)
    ]
    if not np.isfinite(errors).all():
        return f"layer {list(outputs)[int(np.isfinite(errors).argmin())]} is the first that gives inf or nan"
    steps = np.diff(errors, prepend=0.0)
    worst = int(steps.argmax())
    return (
        f"its error grows most at layer {list(outputs)[worst]}, by {steps[worst]:.3g} to {errors[worst]:.3g} "
        "of the layer's output"
    )


def torch_logits(net: DeployedNet, frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Logits of classes and of object centres [N,C,h,w], by the layer that gives them.

    Args:
        frames: uint8 [N,H,W,3].
    """
    names = {module: name for name, module in net.model.named_modules()}
    with torch.inference_mode():
        out = net.eval().raw(torch.from_numpy(frames))
    found = {}
    if out.logits is not None:
        found[names[net.model.head[-1]]] = out.logits.numpy()
    if out.detection is not None:
        found[names[net.model.detection_head.heatmap[-1]]] = out.detection.heatmap.numpy()
    return found


def logit_differences(
    expected: Mapping[str, NDArray[np.float32]], path: Path, frames: NDArray[np.uint8], engine: str
) -> tuple[float, float] | tuple[None, None]:
    """Largest and mean absolute difference between a graph's logits and those expected, all together.

    Args:
        expected: by the name of the graph's tensor. path: the graph. frames: uint8 [N,H,W,3] of its size.

    Returns:
        In the logits' own unit, nats; None where the engine or the graph does not show the tensors.
    """
    made = {name for node in onnx.load(path).graph.node for name in node.output}
    if engine not in RUNNERS or not made.issuperset(expected):
        return None, None
    found = RUNNERS[engine](path, list(expected), frames)
    each = [np.abs(one - other).ravel() for one, other in zip(found, expected.values(), strict=True)]
    every = np.concatenate(each)
    return float(every.max()), float(every.mean())


def torch_outputs(net: DeployedNet, frame: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Output of every convolution, after the batch norm that the export folds into it, by layer."""
    found: dict[str, NDArray[np.float32]] = {}
    makers: dict[int, str] = {}
    alive: list[Tensor] = []  # a freed tensor's id may be given again

    def convolved(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(_: nn.Module, __: Any, out: Tensor) -> None:
            makers[id(out)] = name
            alive.append(out)
            found[name] = out.numpy().copy()

        return keep

    def normalized(_: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        if id(inputs[0]) in makers:
            found[makers[id(inputs[0])]] = out.numpy().copy()

    handles = []
    for name, layer in net.model.named_modules():
        if isinstance(layer, nn.Conv2d):
            handles.append(layer.register_forward_hook(convolved(name)))
        elif isinstance(layer, nn.BatchNorm2d):
            handles.append(layer.register_forward_hook(normalized))
    try:
        with torch.inference_mode():
            net.eval()(torch.from_numpy(frame[None]))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _on_onnxruntime(path: Path, names: Sequence[str], frames: NDArray[np.uint8]) -> Outputs:
    found: Outputs = cpu_session(path).run(list(names), {GRAPH_INPUT: frames})
    return found


def _on_openvino(path: Path, names: Sequence[str], frames: NDArray[np.uint8]) -> Outputs:
    compiled = core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled({0: frames})
    return [results[compiled.output(name)] for name in names]


def _opened(run: Callable[[Path, Sequence[str], NDArray[np.uint8]], Outputs]) -> Callable[..., Outputs]:
    def runner(path: Path, names: Sequence[str], frames: NDArray[np.uint8]) -> Outputs:
        model = onnx.load(path)
        show_tensors(model, names)
        with tempfile.TemporaryDirectory() as scratch:
            shown = Path(scratch) / "shown.onnx"
            onnx.save(model, str(shown))
            return run(shown, names, frames)

    return runner


RUNNERS = {"onnxruntime": _opened(_on_onnxruntime), "openvino": _opened(_on_openvino)}
