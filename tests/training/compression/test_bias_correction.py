"""INT8 graphs give on average what floats give, where rounded weights alone would not."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.compression.quantize import Quantizer
from training.compression.spec import QuantizeSpec

SIZE, LAYER = (16, 20), "depthwise"
# A channel's scale is 1.003 / 127: the eight small weights become 0, the large one 1.003.
KERNEL = np.full((3, 3), 0.003, np.float32)
KERNEL[1, 1] = 1.0
FORMS = {
    "plain": {"pads": [1, 1, 1, 1]},
    "strided": {"pads": [0, 1, 1, 0], "strides": [2, 2]},
    "dilated": {"pads": [2, 2, 2, 2], "dilations": [2, 2]},
    "no_padding": {},
}


def frames(count: int) -> list[NDArray[np.uint8]]:
    """Bright on the right, as depends on position."""
    slope = np.linspace(0, 150, SIZE[1])[None, :, None]
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 100, (*SIZE, 3)) + slope).astype(np.uint8) for _ in range(count)]


def write_graph(path: Path, attributes: dict[str, list[int]], biased: bool) -> None:
    inputs = ["planes", f"model.{LAYER}.weight"] + ["bias"] * biased
    nodes = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["raw"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", inputs, ["out"], group=3, **attributes),
    ]
    constants = [numpy_helper.from_array(np.tile(KERNEL, (3, 1, 1, 1)), inputs[1])]
    if biased:
        constants.append(numpy_helper.from_array(np.array([5, 0, -5], np.float32), "bias"))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *SIZE, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, None, None])
    model = helper.make_model(
        helper.make_graph(nodes, "conv", [images], [out], constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(model, str(path))


def mean_of_channels(path: Path) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path))
    outputs = [session.run(None, {"images": frame[None]})[0] for frame in frames(8)]
    result: NDArray[np.float32] = np.concatenate(outputs).mean((0, 2, 3))
    return result


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_shift_of_rounded_weights_is_taken_out(form: str, biased: bool, tmp_path: Path) -> None:
    source, corrected, plain = (tmp_path / name for name in ("float.onnx", "corrected.onnx", "plain.onnx"))
    write_graph(source, FORMS[form], biased)
    Quantizer(source, frames(8), QuantizeSpec()).write(corrected)
    exact = mean_of_channels(source)
    assert np.abs(mean_of_channels(corrected) - exact).max() < 0.3  # a step of the output is 1
    # A layer whose rounding training has seen is left alone, and shows the shift: 8 * 0.003 * 125 less.
    Quantizer(source, frames(8), QuantizeSpec(), {LAYER: (0.0, 255.0)}).write(plain)
    assert (exact - mean_of_channels(plain)).min() > 1.5


def test_a_layer_left_in_float_keeps_its_bias(tmp_path: Path) -> None:
    write_graph(tmp_path / "float.onnx", {}, biased=True)
    Quantizer(tmp_path / "float.onnx", frames(2), QuantizeSpec()).write(tmp_path / "same.onnx", [LAYER])
    (bias,) = [
        numpy_helper.to_array(item)
        for item in onnx.load(tmp_path / "same.onnx").graph.initializer
        if item.dims == [3]
    ]
    assert bias.tolist() == [5, 0, -5]
