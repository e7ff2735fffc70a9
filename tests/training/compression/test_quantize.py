"""Post-training quantization against the uniform quantization formula worked out here."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.support.tiny_nets import CLASSES, tiny_net
from tests.support.tiny_training import SIZE
from training.compression.quantize import Quantizer
from training.compression.spec import QuantizeSpec
from training.errors import TrainingError
from training.export.graph import DeployedNet, write_onnx

SCALES = np.array([0.01, 1.0, 100.0], np.float32)  # of the three output channels: far apart on purpose


def frames(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (16, 20, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def graph(tmp_path: Path) -> tuple[Path, NDArray[np.float32]]:
    """One convolution of uint8 frames, and its weights."""
    weights = (
        np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32) * SCALES[:, None, None, None]
    )
    nodes = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["raw"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weights"], ["out"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 16, 20, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, 14, 18])
    initializers = [numpy_helper.from_array(weights, "weights")]
    model = helper.make_model(
        helper.make_graph(nodes, "conv", [images], [out], initializers),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    model.metadata_props.add(key="classes", value='["a"]')
    path = tmp_path / "float.onnx"
    onnx.save(model, str(path))
    return path, weights


def quantize_onnx(source: Path, target: Path, frames: list[NDArray[np.uint8]]) -> None:
    Quantizer(source, frames, QuantizeSpec()).write(target)


def run(path: Path, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = onnxruntime.InferenceSession(str(path)).run(None, {"images": frame[None]})[
        0
    ]
    return result


def stored_weights(path: Path, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The one constant of this shape in a graph."""
    stored = [numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer]
    (found,) = [item for item in stored if item.shape == shape]
    return found


def test_every_channel_of_the_weights_has_its_own_scale(
    graph: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    source, weights = graph
    quantize_onnx(source, tmp_path / "int8.onnx", frames(8))
    integers = stored_weights(tmp_path / "int8.onnx", weights.shape)
    assert integers.dtype == np.int8
    # Symmetric: the two largest of one sign together become 127.
    ends = np.sort(weights.reshape(3, -1), axis=1)
    scale = np.maximum(ends[:, -2:].sum(1), -ends[:, :2].sum(1))[:, None, None, None] / 127
    assert (np.abs(integers * scale - weights) <= 0.51 * scale).all()


def test_no_sum_of_two_products_leaves_sixteen_bits(
    graph: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    """VPMADDUBSW, which CPUs without VNNI have, adds two products of uint8 and int8 in int16, saturating."""
    source, weights = graph
    quantize_onnx(source, tmp_path / "int8.onnx", frames(8))
    integers = stored_weights(tmp_path / "int8.onnx", weights.shape)
    for channel in integers.reshape(3, -1).astype(np.int64):
        sums = 255 * (channel[:, None] + channel[None])[~np.eye(channel.size, dtype=bool)]
        assert sums.min() >= -32768
        assert sums.max() <= 32767


def test_bright_frames_and_weights_of_one_sign_give_what_floats_give(
    graph: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    """The worst case of such a CPU; in a network it cost boxes four points."""
    source, weights = graph
    model = onnx.load(source)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.abs(weights), "weights"))
    onnx.save(model, source)
    white = [np.full((16, 20, 3), 255, np.uint8), *frames(2)]
    quantize_onnx(source, tmp_path / "int8.onnx", white)
    exact, found = (run(path, white[0]) for path in (source, tmp_path / "int8.onnx"))
    assert (np.abs(found - exact) <= 0.02 * exact.max()).all()


def test_outputs_stay_within_the_rounding_of_inputs_weights_and_result(
    graph: tuple[Path, NDArray[np.float32]], tmp_path: Path
) -> None:
    source, weights = graph
    quantize_onnx(source, tmp_path / "int8.onnx", frames(8))
    exact, found = (run(path, frames(1)[0]) for path in (source, tmp_path / "int8.onnx"))
    # 0..255 fits eight bits exactly, so what is left is the weights' rounding (27 of them, inputs up to 255,
    # a square-root law for random signs, times 4) and half a step of the output.
    step = (exact.max() - exact.min()) / 255
    bound = 4 * np.sqrt(27 / 12) * 255 * np.abs(weights).max((1, 2, 3)) / 127 + step
    assert (np.abs(found - exact).max((0, 2, 3)) <= bound).all()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tasks as they are exported, box decoding included."""
    path = tmp_path_factory.mktemp("network") / "float.onnx"
    write_onnx(DeployedNet(tiny_net()), [f"c{i}" for i in range(CLASSES)], SIZE, path)
    return path


def noise(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(2).integers(0, 256, (count, *SIZE, 3), np.uint8))


def test_nothing_behind_the_last_convolutions_becomes_an_integer(network: Path, tmp_path: Path) -> None:
    """Boxes in steps of a 255th of the picture would be pixels off."""
    quantize_onnx(network, tmp_path / "int8.onnx", noise(2))
    graph = onnx.load(tmp_path / "int8.onnx").graph
    makers = {name: node for node in graph.node for name in node.output}
    feeding = {name for node in graph.node if node.op_type == "Conv" for name in node.input}
    ahead = set()  # nodes from which a convolution can be reached
    for node in reversed(graph.node):
        if node.op_type == "Conv" or feeding & set(node.output):
            ahead.add(node.name)
            feeding.update(node.input)
    late = [
        makers[node.input[0]].op_type
        for node in graph.node
        if node.op_type == "QuantizeLinear" and node.name not in ahead
    ]
    assert set(late) == {"Conv"}  # classes, heatmap, sides: the answers of the last convolutions themselves
    assert len(late) == 3


def test_with_every_convolution_in_float_nothing_is_quantized(network: Path, tmp_path: Path) -> None:
    quantizer = Quantizer(network, noise(2), QuantizeSpec())
    quantizer.write(tmp_path / "float.onnx", quantizer.layers)
    assert not [n for n in onnx.load(tmp_path / "float.onnx").graph.node if n.op_type == "QuantizeLinear"]
    for found, expected in zip(outputs(tmp_path / "float.onnx"), outputs(network), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_one_convolution_alone_takes_only_its_neighbours_along(network: Path, tmp_path: Path) -> None:
    quantizer = Quantizer(network, noise(2), QuantizeSpec())
    quantizer.write(tmp_path / "one.onnx", quantizer.layers[1:])
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "one.onnx").graph.node)
    assert 2 <= kinds["QuantizeLinear"] <= 4


def outputs(path: Path) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(str(path))
    return list(session.run(None, {"images": noise(1)[0][None]}))


def test_metadata_and_interface_are_kept(graph: tuple[Path, NDArray[np.float32]], tmp_path: Path) -> None:
    quantize_onnx(graph[0], tmp_path / "int8.onnx", frames(2))
    model = onnx.load(tmp_path / "int8.onnx")
    assert {entry.key: entry.value for entry in model.metadata_props}["classes"] == '["a"]'
    assert [item.name for item in model.graph.input] == ["images"]
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}


def test_no_calibration_frames_is_an_error(graph: tuple[Path, NDArray[np.float32]], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="calibration frames"):
        quantize_onnx(graph[0], tmp_path / "int8.onnx", [])
    assert not (tmp_path / "int8.onnx").exists()
