"""An exported graph in FP16, for GPUs: the network in float16, what is before and after it in float32.

TensorRT 11 and RTX take the precision of every layer from the ONNX file. NVIDIA's AutoCast writes it: from
the first to the last convolution weights and activations become float16 (Micikevicius et al., "Mixed
Precision Training", https://arxiv.org/abs/1710.03740, section 3, the forward pass), but for nodes whose
values on a frame come near the end of float16's range. Normalization of the frames, the final resize, softmax
and box decoding keep float32 in any case, as pixel coordinates beyond 2048 do not fit float16's 11 bits.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto

from distill_perception.bundle import GRAPH_INPUT

CONVOLUTIONS = ("Conv", "ConvTranspose")


def write_half(source: Path, target: Path, frame: NDArray[np.uint8]) -> None:
    """Write the FP16 form of `source` to `target`; inputs, outputs and metadata stay as they are.

    Args:
        source: deployed graph, float32.
        target: file to write.
        frame: uint8 [H,W,3] in the graph's size and channel order, that shows how large values become.
    """
    from modelopt.onnx.autocast import convert_to_mixed_precision  # takes seconds

    for talker in ("modelopt.onnx", "modelopt.onnx.autocast"):
        logging.getLogger(talker).setLevel(logging.ERROR)
    full = onnx.load(str(source))
    for index, node in enumerate(full.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    network = network_nodes(full.graph.node)
    names = [node.name for index, node in enumerate(full.graph.node) if index not in network]
    outside = [f"^{re.escape(name)}$" for name in names]
    with tempfile.TemporaryDirectory() as scratch:
        named, shown = Path(scratch) / "named.onnx", Path(scratch) / "frame.npz"
        onnx.save(full, str(named))
        np.savez(shown, **{GRAPH_INPUT: frame[None]})
        model = convert_to_mixed_precision(
            str(named), keep_io_types=True, nodes_to_exclude=outside, calibration_data=str(shown)
        )
    model.metadata_props.extend(full.metadata_props)  # which AutoCast drops
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))


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
