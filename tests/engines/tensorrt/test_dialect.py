"""What the translated graph computes, by ONNX Runtime, against numbers worked out by hand."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from distill_perception.engines.tensorrt.dialect import to_tensorrt
from tests.support.quantized_graph import quantized_conv

BIAS = 24 * 0.5 * 0.25
MODELS = Path(__file__).parents[3] / "models"


def run(model: onnx.ModelProto, images: NDArray[np.generic]) -> NDArray[np.generic]:
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": images})[0]


def line(*values: float) -> NDArray[np.float32]:
    return np.float32(values).reshape(1, 1, 1, -1)


def test_activations_get_the_symmetric_step_of_their_larger_end() -> None:
    # Range -50 to 77.5, so that one step is 77.5 / 127 and 77.5 itself is step 127.
    step = 77.5 / 127
    found = run(to_tensorrt(quantized_conv()), line(0, 1, -50, 77.5, 200)) - BIAS
    expected = np.float32([0, round(1 / step) * step, round(-50 / step) * step, 77.5, 77.5])
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-5)


def test_a_zero_point_at_the_low_end_stays_the_relu_that_it_was() -> None:
    values = line(-30, -0.4, 10, 127.5)  # 0.5 * 255 = 127.5
    before, after = (run(model, values) for model in (quantized_conv(0), to_tensorrt(quantized_conv(0))))
    assert (after.ravel()[:2] == np.float32(BIAS)).all()
    np.testing.assert_allclose(after, before, atol=127.5 / 127 / 2 + 0.25)


def test_pairs_that_share_a_tensor_and_a_scale_keep_their_own_ranges() -> None:
    """One tensor quantized twice, 0 to 127.5 (a ReLU too) and -50 to 77.5, with one scale of 0.5."""
    nodes, constants = [], {"scale": np.float32(0.5), "low": np.uint8(0), "middle": np.uint8(100)}
    for zero in ("low", "middle"):
        nodes.append(helper.make_node("QuantizeLinear", ["images", "scale", zero], [f"{zero}_levels"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{zero}_levels", "scale", zero], [f"{zero}_out"]))
    nodes.append(helper.make_node("Concat", ["low_out", "middle_out"], ["both"], axis=1))
    graph = helper.make_graph(
        nodes,
        "shared",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("both", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    found = run(to_tensorrt(model), np.float32([[-30, 200]]))
    step = 77.5 / 127
    np.testing.assert_allclose(found, [[0, 127.5, round(-30 / step) * step, 77.5]], rtol=1e-6)


def test_biases_become_the_floats_that_they_stood_for() -> None:
    model = to_tensorrt(quantized_conv())
    assert TensorProto.INT32 not in {item.data_type for item in model.graph.initializer}
    np.testing.assert_allclose(run(model, line(0)).item(), BIAS)


def test_the_graph_given_is_left_as_it_is() -> None:
    model = quantized_conv()
    before = model.SerializeToString()
    to_tensorrt(model)
    assert model.SerializeToString() == before


def test_a_cast_to_uint8_moves_behind_the_reshape() -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["turned"], perm=[1, 0]),
        helper.make_node("Squeeze", ["turned"], ["mask"]),
    ]
    graph = helper.make_graph(
        nodes,
        "casts",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("mask", TensorProto.UINT8, [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    translated = to_tensorrt(model)
    assert [node.op_type for node in translated.graph.node] == ["Transpose", "Squeeze", "Cast"]
    np.testing.assert_array_equal(run(translated, np.float32([[1, 200, 3.7]])), [1, 200, 3])


@pytest.mark.parametrize("file", sorted(MODELS.glob("*/student.onnx")), ids=lambda path: path.parent.name)
def test_a_shipped_float_graph_computes_the_same_numbers(file: Path) -> None:
    model = onnx.load(file)
    height, width = (dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:3])
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    np.testing.assert_array_equal(run(to_tensorrt(model), frames), run(model, frames))
