"""The convolutions of an exported graph by the names of the network's layers, and what flows between them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

PREFIX, SUFFIX = "model.", ".weight"


def conv_nodes(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Convolutions of a float graph by the name of the torch layer, whose weight keeps it, in graph order."""
    nodes = (node for node in graph.node if node.op_type == "Conv")
    return {node.input[1].removeprefix(PREFIX).removesuffix(SUFFIX): node for node in nodes}


def show_tensors(model: onnx.ModelProto, names: Sequence[str]) -> None:
    """Make these tensors the graph's outputs, in place of its own."""
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
