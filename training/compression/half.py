"""An exported graph in FP16, for GPUs: the network in float16, what is before and after it in float32.

TensorRT 11 and RTX take the precision of every layer from the ONNX file. From the first to the last
convolution weights and activations become float16 (Micikevicius et al., "Mixed Precision Training",
https://arxiv.org/abs/1710.03740, section 3, the forward pass); normalization of the frames, the final resize,
softmax and box decoding keep float32, as pixel coordinates beyond 2048 do not fit float16's 11 bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

CONVOLUTIONS = ("Conv", "ConvTranspose")
_ALWAYS_FLOAT32 = {("Resize", 1), ("Resize", 2)}  # inputs that the operator's definition keeps: roi, scales
_LARGEST = float(np.finfo(np.float16).max)


def write_half(source: Path, target: Path) -> None:
    """Write the FP16 form of `source` to `target`; inputs, outputs and metadata stay as they are.

    Args:
        source: deployed graph, float32.
        target: file to write.
    """
    model = shape_inference.infer_shapes(onnx.load(str(source)))
    _Halved(model.graph).convert()
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))


class _Halved:
    """A graph on its way; float tensors at the network's border get a twin of the other precision."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {item.name: item for item in graph.initializer}
        known = (*graph.value_info, *graph.input, *graph.output)
        types = {item.name: item.type.tensor_type.elem_type for item in known}
        types |= {item.name: item.data_type for item in graph.initializer}
        self._floats = {name for name, kind in types.items() if kind == TensorProto.FLOAT}
        self._halves: set[str] = set()  # float tensors that the network now computes in float16
        self._twins: dict[str, str] = {}
        self._nodes: list[NodeProto] = []

    def convert(self) -> None:
        network = network_nodes(self._graph.node)
        for index, node in enumerate(self._graph.node):
            inside = index in network
            for place, name in enumerate(node.input):
                wanted_half = inside and (node.op_type, place) not in _ALWAYS_FLOAT32
                if name in self._floats and (name in self._halves) != wanted_half:
                    node.input[place] = self._twin(name)
            self._nodes.append(node)
            if inside:
                self._halve_outputs(node)
        del self._graph.node[:], self._graph.value_info[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        for item in [item for item in self._graph.initializer if item.name not in used]:
            self._graph.initializer.remove(item)

    def _halve_outputs(self, node: NodeProto) -> None:
        self._halves.update(name for name in node.output if name in self._floats)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16

    def _twin(self, name: str) -> str:
        """The same values in the other precision: a constant rounded now, a tensor cast by the graph."""
        if name not in self._twins:
            twin = self._twins[name] = f"{name}_{'float32' if name in self._halves else 'float16'}"
            if name in self._constants:
                value = np.clip(numpy_helper.to_array(self._constants[name]), -_LARGEST, _LARGEST)
                self._graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), twin))
            else:
                kind = TensorProto.FLOAT if name in self._halves else TensorProto.FLOAT16
                self._nodes.append(helper.make_node("Cast", [name], [twin], name=twin, to=kind))
        return self._twins[name]


def network_nodes(nodes: Iterable[NodeProto]) -> set[int]:
    """Indices of the convolutions and of what is between two of them."""
    ordered = list(nodes)
    after: set[str] = set()  # tensors that a convolution has worked on
    for node in ordered:
        if node.op_type in CONVOLUTIONS or after & set(node.input):
            after.update(node.output)
    before: set[str] = set()  # tensors that a convolution will work on
    inside = set()
    for index, node in reversed(list(enumerate(ordered))):
        convolution = node.op_type in CONVOLUTIONS
        if convolution or (after & set(node.output) and before & set(node.output)):
            inside.add(index)
        if convolution or before & set(node.output):
            before.update(node.input)
    return inside
