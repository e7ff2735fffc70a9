"""An ONNX graph in the words that TensorRT understands; what it computes stays the same.

TensorRT (10, 11 and RTX alike) has no uint8 tensors inside a graph, no int32 biases behind DequantizeLinear,
and only symmetric int8 activations ("Working with Quantized Types" in its documentation). ONNX Runtime's and
OpenVINO's fast CPU kernels want just these, so a bundle holds one INT8 file and it is translated here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

_MOVES_ONLY = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Identity", "Gather", "Slice")
_INT8_MAX = 127.0


def to_tensorrt(model: onnx.ModelProto) -> onnx.ModelProto:
    """Translate a graph of the bundle contract; the argument is left as it is.

    The result has the same inputs, outputs and metadata. Float graphs compute the same numbers. In INT8
    graphs weights and biases keep their values; an activation that had 256 levels from `low` to `high` gets
    255 levels from -max(|low|, |high|) to +max(|low|, |high|), the range that symmetric calibration of the
    same frames would have given it.
    """
    translated = type(model)()
    translated.CopyFrom(model)
    graph = _Graph(translated.graph)
    graph.cast_to_uint8_last()
    graph.make_biases_float()
    graph.make_activations_symmetric()
    graph.drop_unused()
    return translated


class _Graph:
    """A graph that is being rewritten: its nodes in order, its constants by name."""

    def __init__(self, proto: onnx.GraphProto) -> None:
        from onnx import numpy_helper

        self._proto = proto
        self._from_array: Callable[..., onnx.TensorProto] = numpy_helper.from_array
        self._constants: dict[str, NDArray[Any]] = {
            item.name: numpy_helper.to_array(item) for item in proto.initializer
        }

    def cast_to_uint8_last(self) -> None:
        """Cast -> Reshape becomes Reshape -> Cast, so that uint8 is met at the graph's output only."""
        from onnx import TensorProto

        nodes = list(self._proto.node)
        producers = {name: node for node in nodes for name in node.output}
        for node in nodes:
            cast = producers.get(node.input[0]) if node.op_type in _MOVES_ONLY else None
            if cast is None or cast.op_type != "Cast" or cast.attribute[0].i != TensorProto.UINT8:
                continue
            inner, output = f"{node.output[0]}_before_cast", node.output[0]
            node.input[0], node.output[0] = cast.input[0], inner
            late = type(cast)()
            late.CopyFrom(cast)
            late.name, late.input[0], late.output[0] = f"{output}_cast", inner, output
            self._proto.node.insert(list(self._proto.node).index(node) + 1, late)
            producers[output], producers[inner] = late, node

    def make_biases_float(self) -> None:
        """A bias stored as int32 beside its scale becomes the float numbers that these stand for."""
        for node in [item for item in self._proto.node if item.op_type == "DequantizeLinear"]:
            stored = self._constants.get(node.input[0])
            if stored is not None and stored.dtype == np.int32:
                scale = self._constants[node.input[1]]
                self._add_constant(node.output[0], (stored * scale.astype(np.float64)).astype(scale.dtype))
                self._proto.node.remove(node)

    def make_activations_symmetric(self) -> None:
        """Zero points become 0. One at the low end of the range was a ReLU too, which is then written out."""
        for node in list(self._proto.node):
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
                continue
            zero = self._constants[node.input[2]]
            if zero.size != 1 or zero.dtype.kind not in "iu" or (zero.dtype == np.int8 and zero == 0):
                continue  # FP8 has no zero point but 0
            limits = np.iinfo(zero.dtype)
            steps = np.float32(max(int(zero) - limits.min, limits.max - int(zero)))
            scale = np.asarray(self._constants[node.input[1]] * steps / _INT8_MAX, np.float32)
            if node.op_type == "QuantizeLinear" and zero == limits.min:
                self._insert_relu(node)
            # Named by both: pairs of different zero points may share a scale.
            node.input[1] = self._add_constant(f"{node.input[1]}_{node.input[2]}_symmetric", scale)
            node.input[2] = self._add_constant("int8_zero", np.zeros((), np.int8))

    def _insert_relu(self, node: onnx.NodeProto) -> None:
        from onnx import helper

        output = f"{node.output[0]}_relu"
        relu = helper.make_node("Relu", [node.input[0]], [output], name=output)
        self._proto.node.insert(list(self._proto.node).index(node), relu)
        node.input[0] = output

    def _add_constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants[name] = value
            self._proto.initializer.append(self._from_array(value, name))
        return name

    def drop_unused(self) -> None:
        """Remove casts and constants that nothing reads any more, and shapes noted under old names."""
        used = {name for node in self._proto.node for name in node.input}
        wanted = used | {item.name for item in self._proto.output}
        for node in [item for item in self._proto.node if not wanted & set(item.output)]:
            self._proto.node.remove(node)
        used = {name for node in self._proto.node for name in node.input}
        for item in [item for item in self._proto.initializer if item.name not in used]:
            self._proto.initializer.remove(item)
        del self._proto.value_info[:]
