"""Post-training quantization of an exported graph to INT8: explicit QuantizeLinear/DequantizeLinear pairs.

The formulas are in uniform.py. Ranges of activations come from calibration frames (calibration.py), or from
training where it simulated INT8 (fake_quant.py). Where it did not, biases are corrected for what rounding
does to weights (bias_correction.py). ONNX Runtime's quantizer places the pairs; the engines fuse them into
integer kernels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.compression.bias_correction import correct_biases
from training.compression.calibration import CALIBRATORS, collect, mean_frames
from training.compression.half import network_nodes
from training.compression.spec import QuantizeSpec
from training.compression.uniform import Range, weight_range
from training.errors import TrainingError
from training.export.layers import conv_nodes

# What runs in integers, from the first convolution to the last. Normalization, resizing, argmax and box
# decoding stay in float: a box's side in steps of a 255th of the picture's width would be two pixels off.
QUANTIZED_OPERATORS = ["Conv", "Add", "Clip", "Relu"]


class Quantizer:
    """Quantizes one graph, calibrated once, as often as one likes.

    Args:
        source: deployed graph, float32.
        frames: calibration frames, uint8 [H,W,3] in the graph's size and channel order; some dozens that
            look like what the camera will see.
        spec: calibrator and form of the activations.
        trained: ranges of the inputs of convolutions that training has seen, by layer; others are calibrated,
            and their biases corrected.

    Raises:
        TrainingError: no calibration frame.
    """

    def __init__(
        self,
        source: Path,
        frames: Iterable[NDArray[np.uint8]],
        spec: QuantizeSpec,
        trained: Mapping[str, Range] | None = None,
    ) -> None:
        self._symmetric = spec.activations == "symmetric"
        seen = list(frames)
        if not seen:
            raise TrainingError("INT8 quantization needs calibration frames and the source gave none")
        with tempfile.TemporaryDirectory() as scratch:
            prepared = Path(scratch) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            self._model = onnx.load(prepared)
            histograms = collect(prepared, _activations(self._model.graph), seen)
            inputs = {layer: node.input[0] for layer, node in conv_nodes(self._model.graph).items()}
            untrained = [layer for layer in inputs if layer not in (trained or {})]
            shifted = list(dict.fromkeys(inputs[layer] for layer in untrained))
            self._means = mean_frames(prepared, shifted, seen) if shifted else {}
        for index, node in enumerate(self._model.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"
        self._nodes = {layer: node.name for layer, node in conv_nodes(self._model.graph).items()}
        self._untrained = {self._nodes[layer] for layer in untrained}
        calibrate = CALIBRATORS[spec.calibrator]
        self._ranges = {name: calibrate(seen, self._symmetric) for name, seen in histograms.items()}
        self._ranges |= {inputs[layer]: ends for layer, ends in (trained or {}).items()}

    @property
    def layers(self) -> tuple[str, ...]:
        """Convolutions, in the graph's order."""
        return tuple(self._nodes)

    def write(self, target: Path, float_layers: Collection[str] = ()) -> None:
        """Write the INT8 form, with some convolutions left in FP32."""
        data = {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high))
            for name, (low, high) in self._ranges.items()
        }
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        chosen = _quantized(model.graph, {self._nodes[layer] for layer in float_layers})
        if not chosen:  # the quantizer takes an empty list for all
            onnx.save(model, str(target))
            return
        correct_biases(model.graph, self._means, self._untrained.intersection(chosen))
        quantizer = QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if self._symmetric else QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=chosen,
            nodes_to_exclude=[],
            op_types_to_quantize=QUANTIZED_OPERATORS,
            # TensorRT takes activations without zero point, and biases in float.
            extra_options={
                "ActivationSymmetric": self._symmetric,
                "QuantizeBias": not self._symmetric,
                "TensorQuantOverrides": _weight_ranges(model.graph, set(chosen)),
            },
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(target))


def _candidates(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes of the network that have an integer form."""
    network = network_nodes(graph.node)
    return [
        node
        for index, node in enumerate(graph.node)
        if index in network and node.op_type in QUANTIZED_OPERATORS
    ]


def _quantized(graph: onnx.GraphProto, float_convolutions: Collection[str]) -> list[str]:
    """Names of the nodes that become integers: convolutions, and what stands directly before or after one.

    An addition or activation among convolutions that stay in float stays in float with them.
    """
    convolutions = [
        node for node in _candidates(graph) if node.op_type == "Conv" and node.name not in float_convolutions
    ]
    touched = {name for node in convolutions for name in (node.input[0], node.output[0])}
    others = [node for node in _candidates(graph) if node.op_type != "Conv"]
    neighbours: set[str] = set()
    # Between two convolutions there may be an addition and its activation.
    for _ in range(2):
        found = {node.name for node in others if touched & {*node.input, *node.output}}
        touched |= {node.output[0] for node in others if node.name in found}
        neighbours |= found
    return [node.name for node in convolutions] + [n.name for n in others if n.name in neighbours]


def _weight_ranges(graph: onnx.GraphProto, chosen: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Of every convolution that becomes integers, as the quantizer takes them."""
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv" and node.name in chosen}
    found = {}
    for item in graph.initializer:
        if item.name in weights:
            ends = weight_range(torch.from_numpy(numpy_helper.to_array(item).copy())).numpy()
            found[item.name] = [{"axis": 0, "rmin": -end, "rmax": end} for end in ends]
    return found


def _activations(graph: onnx.GraphProto) -> list[str]:
    """Float tensors that the quantized operators read or write, constants left out."""
    constants = {item.name for item in graph.initializer}
    names = {
        name: None
        for node in _candidates(graph)
        for name in (*node.input, *node.output)
        if name and name not in constants
    }
    return list(names)
