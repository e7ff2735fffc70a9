"""The FP16 form against the FP32 form, by ONNX Runtime, and what of it is in which precision."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from training.compression.half import network_nodes, write_half
from training.export.graph import DeployedNet, write_onnx
from training.models.multi_task import MultiTaskNet
from training.models.spec import ModelSpec

SIZE = (64, 96)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small student for both tasks in FP32 and in FP16."""
    torch.manual_seed(0)
    decoder = {"name": "bifpn", "width": 16, "repeats": 1}
    spec = ModelSpec.model_validate(
        {
            "encoder": "squeezenet1_1",
            "pretrained": False,
            "decoder": decoder,
            "tasks": ["segmentation", "detection"],
        }
    )
    folder = tmp_path_factory.mktemp("half")
    full, half = folder / "full.onnx", folder / "half.onnx"
    write_onnx(DeployedNet(MultiTaskNet(spec, 4, (2, 3)), 10), ["a", "b", "c", "d"], SIZE, full)
    write_half(full, half, np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8))
    return full, half


def run(file: Path) -> dict[str, np.ndarray]:
    frames = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    session = onnxruntime.InferenceSession(str(file))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": frames}), strict=True))


def test_results_differ_by_float16s_rounding_only(files: tuple[Path, Path]) -> None:
    full, half = (run(file) for file in files)
    assert {name: value.dtype for name, value in half.items()} == {
        name: value.dtype for name, value in full.items()
    }
    # 11 bits, through some thirty layers: about 2^-11 * sqrt(30) of the largest value.
    assert np.abs(half["confidence"].astype(int) - full["confidence"]).max() <= 2
    np.testing.assert_allclose(half["scores"], full["scores"], atol=3e-3)


def test_the_network_is_in_float16_and_its_surroundings_are_not(files: tuple[Path, Path]) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(files[1]))
    types = {item.name: item.type.tensor_type.elem_type for item in model.graph.value_info}
    types |= {item.name: item.data_type for item in model.graph.initializer}
    weights = {types[node.input[1]] for node in model.graph.node if node.op_type == "Conv"}
    assert weights == {TensorProto.FLOAT16}
    for operator in ("Sub", "Softmax", "TopK"):
        kinds = {types[node.output[0]] for node in model.graph.node if node.op_type == operator}
        assert kinds == {TensorProto.FLOAT}, operator


def test_the_file_has_half_the_size_and_keeps_its_metadata(files: tuple[Path, Path]) -> None:
    full, half = (file.stat().st_size for file in files)
    assert half < 0.6 * full
    models = [onnx.load(file) for file in files]
    assert models[0].metadata_props == models[1].metadata_props
    assert models[0].graph.input == models[1].graph.input
    assert models[0].graph.output == models[1].graph.output


def test_only_what_is_between_convolutions_belongs_to_the_network() -> None:
    nodes = [
        helper.make_node("Sub", ["images", "mean"], ["a"]),
        helper.make_node("Conv", ["a", "w"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Neg", ["b"], ["side"]),
        helper.make_node("Conv", ["c", "w"], ["d"]),
        helper.make_node("Softmax", ["d"], ["e"]),
        helper.make_node("Add", ["e", "side"], ["out"]),
    ]
    assert network_nodes(nodes) == {1, 2, 4}


def test_values_beyond_float16s_range_stay_in_float32(tmp_path: Path) -> None:
    weight = np.full((1, 3, 1, 1), 200, np.float32)  # times 3 * 255 is 153 000, float16 ends at 65 504
    nodes = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["raw"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "model.a.weight"], ["large"]),
        helper.make_node("Mul", ["large", "small"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "model.b.weight"], ["out"]),
    ]
    constants = {"model.a.weight": weight, "small": 1e-5, "model.b.weight": np.ones((1, 1, 1, 1))}
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *SIZE, 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, *SIZE])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(tmp_path / "full.onnx"))
    white = np.full((*SIZE, 3), 255, np.uint8)
    write_half(tmp_path / "full.onnx", tmp_path / "half.onnx", white)
    (found,) = onnxruntime.InferenceSession(str(tmp_path / "half.onnx")).run(None, {"images": white[None]})
    np.testing.assert_allclose(found, 1.53, rtol=1e-3)
