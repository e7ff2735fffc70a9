"""An exported graph with FP8 convolutions (E4M3), for GPUs that have them: Ada, Hopper, Blackwell and later.

    q = e4m3(clamp(x / scale, -448, 448)), scale = max|x| / 448        x ~ scale * q

E4M3 has 4 bits of exponent, 3 of mantissa and 448 as its largest value; a scale brings the largest value seen
there (Micikevicius et al., "FP8 Formats for Deep Learning", https://arxiv.org/abs/2209.05433, sections 3 and
3.2). Inputs of convolutions have one scale a tensor, weights one an output channel. What is between the
convolutions is FP16, and what surrounds the network FP32, see half.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from training.compression.calibration import collect
from training.compression.half import write_half
from training.errors import TrainingError
from training.export.layers import conv_nodes

LARGEST = float(ml_dtypes.finfo(ml_dtypes.float8_e4m3fn).max)
OPSET = 19  # the first whose QuantizeLinear knows FP8
_SMALLEST_SCALE = float(np.finfo(np.float16).tiny)
_ZERO = "float8_zero"


def write_float8(
    source: Path, target: Path, frames: Iterable[NDArray[np.uint8]], half_layers: Collection[str] = ()
) -> None:
    """Write the FP8 form of `source` to `target`; inputs, outputs and metadata stay as they are.

    Args:
        source: deployed graph, float32.
        frames: calibration frames, uint8 [H,W,3] in the graph's size and channel order.
        half_layers: convolutions to leave in FP16.

    Raises:
        TrainingError: no calibration frame.
    """
    seen = list(frames)
    if not seen:
        raise TrainingError("FP8 quantization needs calibration frames and the source gave none")
    full = onnx.load(str(source)).graph
    layers = conv_nodes(full)
    constants = {item.name: item for item in full.initializer}
    histograms = collect(source, list(dict.fromkeys(node.input[0] for node in layers.values())), seen)
    with tempfile.TemporaryDirectory() as scratch:
        write_half(source, Path(scratch) / "half.onnx", seen[0])
        model = onnx.load(str(Path(scratch) / "half.onnx"))
    graph = _Quantized(model.graph)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for (layer, before), node in zip(layers.items(), convolutions, strict=True):
        if layer not in half_layers:
            range_ = histograms[before.input[0]]
            weight = numpy_helper.to_array(constants[before.input[1]])
            graph.quantize(node, max(-range_.low, range_.high), weight.astype(np.float64))
    graph.finish()
    for entry in model.opset_import:
        if entry.domain == "":
            entry.version = OPSET
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))


class _Quantized:
    """A graph on its way: convolutions get their inputs and weights by way of FP8."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {item.name: item for item in graph.initializer}
        self._before: dict[str, list[NodeProto]] = {}  # what has to stand before a convolution, by its output
        self._rounded: dict[str, str] = {}
        graph.initializer.append(helper.make_tensor(_ZERO, TensorProto.FLOAT8E4M3FN, [], bytes(1), raw=True))

    def quantize(self, node: NodeProto, most: float, weight: NDArray[np.float64]) -> None:
        """Let a convolution work in FP8.

        Args:
            most: the largest absolute value of its input.
            weight: [O,I,kh,kw] as it was in FP32, so that it is rounded once only.
        """
        new = self._before.setdefault(node.output[0], [])
        kind = numpy_helper.to_array(self._constants[node.input[1]]).dtype  # FP32 where values are large
        name = node.input[0]
        if name not in self._rounded:
            scale = self._scale(name, np.float64(most), kind)
            self._rounded[name] = f"{name}_float8_back"
            new.append(helper.make_node("QuantizeLinear", [name, scale, _ZERO], [f"{name}_float8"]))
            new.append(helper.make_node("DequantizeLinear", [f"{name}_float8", scale], [self._rounded[name]]))
        node.input[0] = self._rounded[name]
        name = node.input[1]
        scale = self._scale(name, np.abs(weight).max((1, 2, 3)), kind)
        divisor = numpy_helper.to_array(self._constants[scale]).astype(np.float64)[:, None, None, None]
        stored = np.clip(weight / divisor, -LARGEST, LARGEST).astype(ml_dtypes.float8_e4m3fn)
        shape, content = weight.shape, stored.tobytes()
        self._add(helper.make_tensor(f"{name}_float8", TensorProto.FLOAT8E4M3FN, shape, content, raw=True))
        back = f"{name}_float8_back"
        new.append(helper.make_node("DequantizeLinear", [f"{name}_float8", scale], [back], axis=0))
        node.input[1] = back

    def finish(self) -> None:
        """Put the new nodes into their places and drop weights that nothing reads any more."""
        ordered = [new for node in self._graph.node for new in (*self._before.get(node.output[0], ()), node)]
        del self._graph.node[:]
        self._graph.node.extend(ordered)
        used = {name for node in ordered for name in node.input}
        for item in [item for item in self._graph.initializer if item.name not in used]:
            self._graph.initializer.remove(item)

    def _scale(self, name: str, most: NDArray[np.float64] | np.float64, kind: DTypeLike) -> str:
        value = np.maximum(most / LARGEST, _SMALLEST_SCALE).astype(kind)
        return self._add(numpy_helper.from_array(np.asarray(value), f"{name}_float8_scale"))

    def _add(self, constant: TensorProto) -> str:
        self._graph.initializer.append(constant)
        self._constants[constant.name] = constant
        return str(constant.name)
