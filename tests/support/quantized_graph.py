"""Graphs as ONNX Runtime's INT8 quantizer writes them, small enough to work them out by hand."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ZERO_POINT, SCALE = 100, 0.5  # the activation's range: 0.5 * (0 - 100) = -50 to 0.5 * (255 - 100) = 77.5
WEIGHT_SCALE = 0.25


def quantized_conv(zero_point: int = ZERO_POINT) -> onnx.ModelProto:
    """images float [1,1,1,W] -> quantized -> 1x1 convolution, weight 0.25 * 4 = 1, int32 bias -> out."""
    constants: dict[str, Any] = {
        "scale": np.float32(SCALE),
        "zero": np.uint8(zero_point),
        "weight": np.full((1, 1, 1, 1), 4, np.int8),
        "weight_scale": np.float32([WEIGHT_SCALE]),
        "weight_zero": np.zeros(1, np.int8),
        "bias": np.int32([24]),
        "bias_scale": np.float32([SCALE * WEIGHT_SCALE]),
        "bias_zero": np.zeros(1, np.int32),
    }
    per_channel = {"axis": 0}
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["x"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], **per_channel),
        helper.make_node("DequantizeLinear", ["bias", "bias_scale", "bias_zero"], ["b"], **per_channel),
        helper.make_node("Conv", ["x", "w", "b"], ["out"]),
    ]
    shape = [1, 1, 1, "w"]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model
