"""A student for both tasks as the one graph that ships, boxes included: the engines say what torch says."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from distill_perception.bundle import load_bundle
from distill_perception.engines.openvino import core
from tests.support.exported_student import DETECTIONS, SIZE, export_student
from training.export.graph import DeployedNet
from training.export.layers import conv_nodes
from training.export.parting import logit_differences, torch_logits

# What TensorRT fuses or has a layer for; anything data-dependent, looped or custom is not among it.
NETWORK_OPS = {
    *("Sub", "Div", "Conv", "Clip", "Relu", "HardSwish", "HardSigmoid", "Add", "Mul", "Concat", "Exp"),
    *("ReduceMean", "GlobalAveragePool", "MaxPool", "AveragePool", "Resize", "Cast"),
}
DECODING_OPS = {
    *("Equal", "Where", "Reshape", "TopK", "GatherElements", "Expand", "Split", "Slice", "Transpose"),
    *("Unsqueeze", "Squeeze", "Sigmoid", "Shape", "Constant", "Min", "Max"),
    *("ArgMax", "Softmax", "ReduceMax", "Round"),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeployedNet, Path]:
    path = tmp_path_factory.mktemp("export") / "student.onnx"
    return export_student(path), path


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SIZE, 3), np.uint8)


def check(found: list[np.ndarray], net: DeployedNet, path: Path, images: np.ndarray, engine: str) -> None:
    """Mask, confidence, boxes, scores and labels, and the logits that they come from."""
    with torch.inference_mode():
        expected = [value.numpy() for value in net(torch.from_numpy(images))]
    for got, want in zip(found, expected, strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
    assert (found[0] == expected[0]).mean() > 0.999
    assert np.abs(found[1].astype(int) - expected[1]).max() <= 1
    np.testing.assert_allclose(found[2], expected[2], atol=0.05)
    np.testing.assert_allclose(found[3], expected[3], atol=1e-3)
    np.testing.assert_array_equal(found[4], expected[4])
    assert expected[3].shape == (len(images), DETECTIONS)
    assert expected[3].min() > 0  # as many real peaks were compared in every frame
    nodes = conv_nodes(onnx.load(path).graph)
    logits = {nodes[layer].output[0]: values for layer, values in torch_logits(net, images).items()}
    assert len(logits) == 2  # of classes and of object centres
    most, _ = logit_differences(logits, path, images, engine)
    assert most is not None
    assert most < 2e-3


@pytest.mark.parametrize("batch", [1, 3])
def test_onnxruntime_agrees_with_torch_at_any_batch(exported: tuple[DeployedNet, Path], batch: int) -> None:
    net, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    check(session.run(None, {"images": frames(batch)}), net, path, frames(batch), "onnxruntime")


def test_openvino_agrees_with_torch(exported: tuple[DeployedNet, Path]) -> None:
    net, path = exported
    compiled = core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    check(list(compiled(frames(2)).values()), net, path, frames(2), "openvino")


def test_the_graph_is_made_of_operators_that_engines_fuse(exported: tuple[DeployedNet, Path]) -> None:
    used = {node.op_type for node in onnx.load(exported[1]).graph.node}
    assert used <= NETWORK_OPS | DECODING_OPS
    assert {"Conv", "TopK", "MaxPool"} <= used


@pytest.mark.parametrize("name", ["camvid_lite0", "camvid_lite0_small"])
def test_so_are_the_shipped_ones(name: str) -> None:
    graph = onnx.load(load_bundle(name).model_path("fp32")).graph
    assert {node.op_type for node in graph.node} <= NETWORK_OPS | DECODING_OPS
