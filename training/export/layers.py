"""Which node of an exported graph is which convolution of the network: its weight keeps the layer's name."""

from __future__ import annotations

import onnx

PREFIX, SUFFIX = "model.", ".weight"


def conv_nodes(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Convolutions of a float graph by the name of the torch layer, in the graph's order."""
    nodes = (node for node in graph.node if node.op_type == "Conv")
    return {node.input[1].removeprefix(PREFIX).removesuffix(SUFFIX): node for node in nodes}
