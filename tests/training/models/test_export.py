"""A student for both tasks as one ONNX graph, boxes included: the engines say what torch says."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from distill_perception.engines.openvino import core
from training.models.detection.decode import decode_detections
from training.models.multi_task import MultiTaskNet
from training.models.spec import ModelSpec

SIZE = (60, 90)
# What TensorRT fuses or has a layer for; anything data-dependent, looped or custom is not among it.
NETWORK_OPS = {
    *("Sub", "Div", "Conv", "Clip", "Relu", "HardSwish", "HardSigmoid", "Add", "Mul", "Concat", "Exp"),
    *("ReduceMean", "GlobalAveragePool", "MaxPool", "AveragePool", "Resize", "Cast"),
}
DECODING_OPS = {
    *("Equal", "Where", "Reshape", "TopK", "GatherElements", "Expand", "Split", "Slice", "Transpose"),
    *("Unsqueeze", "Squeeze", "Sigmoid", "Shape", "Constant", "Min", "Max"),
}


class Graph(nn.Module):
    """`forward(images float [N,3,H,W])` -> logits, boxes, scores, labels."""

    def __init__(self, model: MultiTaskNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        outputs = self.model(images)
        boxes, scores, labels = decode_detections(outputs.detection, self.model.things, *SIZE, 20)
        return outputs.logits, boxes, scores, labels


def spread_heatmap(model: MultiTaskNet) -> None:
    """Give the untrained heatmap a deviation of 2, so that no peak hangs on the engines' rounding."""
    with torch.no_grad():
        logits = model.eval()(torch.rand(4, 3, *SIZE) * 255).detection.heatmap
        last = model.detection_head.heatmap[-1]
        last.weight.mul_(2 / logits.std())
        last.bias.sub_(logits.mean()).mul_(2 / logits.std())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path]:
    torch.manual_seed(0)
    spec = ModelSpec.model_validate(
        {
            "encoder": "squeezenet1_1",
            "pretrained": False,
            "decoder": {"name": "bifpn", "width": 16, "repeats": 0},
            "tasks": ["segmentation", "detection"],
        }
    )
    model = MultiTaskNet(spec, 11, (8, 9, 10))
    spread_heatmap(model)
    graph = Graph(model).eval()
    path = tmp_path_factory.mktemp("export") / "student.onnx"
    program = torch.onnx.export(
        graph,
        (torch.rand(2, 3, *SIZE) * 255,),
        dynamo=True,
        opset_version=18,
        input_names=["images"],
        output_names=["logits", "boxes", "scores", "labels"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=64)}},
        verbose=False,
    )
    program.save(str(path))
    return graph, path


def answers(graph: Graph, batch: int) -> tuple[np.ndarray, list[np.ndarray]]:
    images = torch.rand(batch, 3, *SIZE, generator=torch.Generator().manual_seed(batch)) * 255
    with torch.inference_mode():
        return images.numpy(), [t.numpy() for t in graph(images)]


def check(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for got, want in zip(found, expected, strict=True):
        assert got.shape == want.shape
    np.testing.assert_allclose(found[0], expected[0], atol=2e-3)
    np.testing.assert_allclose(found[1], expected[1], atol=0.05)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-3)
    np.testing.assert_array_equal(found[3], expected[3])


@pytest.mark.parametrize("batch", [1, 3])
def test_onnxruntime_agrees_with_torch_at_any_batch(exported: tuple[Graph, Path], batch: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    images, expected = answers(exported[0], batch)
    session = onnxruntime.InferenceSession(str(exported[1]), providers=["CPUExecutionProvider"])
    check(session.run(None, {"images": images}), expected)
    assert expected[2].min() > 0  # twenty real peaks were compared in every frame


def test_openvino_agrees_with_torch(exported: tuple[Graph, Path]) -> None:
    images, expected = answers(exported[0], 2)
    compiled = core().compile_model(str(exported[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    check(list(compiled(images).values()), expected)


def test_the_graph_is_made_of_operators_that_engines_fuse(exported: tuple[Graph, Path]) -> None:
    used = {node.op_type for node in onnx.load(exported[1]).graph.node}
    assert used <= NETWORK_OPS | DECODING_OPS
    assert {"Conv", "TopK", "MaxPool"} <= used
