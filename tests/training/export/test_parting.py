"""A graph that was tampered with: the layer is named."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from distill_perception.engines import available_engines
from tests.support.exported_student import SIZE, export_student
from training.errors import TrainingError
from training.export.graph import DeployedNet
from training.export.layers import conv_nodes
from training.export.parity import HARDLY_TRAINED, Parity, compare_answers, require_parity
from training.export.parting import logit_differences, parting_layer, torch_logits

LAYER = "encoder.features.3.squeeze"
FRAME = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeployedNet, Path]:
    path = tmp_path_factory.mktemp("graph") / "student.onnx"
    return export_student(path), path


@pytest.mark.parametrize("engine", available_engines())
def test_engine_parts_at_the_layer_whose_weights_were_changed(
    exported: tuple[DeployedNet, Path], tmp_path: Path, engine: str
) -> None:
    net, path = exported
    assert "all convolutions agree" in parting_layer(net, path, FRAME, engine)
    model = onnx.load(path)
    for item in model.graph.initializer:
        if item.name == f"model.{LAYER}.weight":
            item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item) * 1.1, item.name))
    onnx.save(model, str(tmp_path / "changed.onnx"))
    assert f"first layer that differs is {LAYER}," in parting_layer(
        net, tmp_path / "changed.onnx", FRAME, engine
    )


@pytest.mark.parametrize("engine", available_engines())
def test_logits_differ_by_what_was_added_to_one_class(
    exported: tuple[DeployedNet, Path], tmp_path: Path, engine: str
) -> None:
    net, path = exported
    frames = np.stack([FRAME, FRAME[::-1]])
    nodes = conv_nodes(onnx.load(path).graph)
    wanted = {nodes[layer].output[0]: values for layer, values in torch_logits(net, frames).items()}
    most, mean = logit_differences(wanted, path, frames, engine)
    assert 0 <= mean <= most < 1e-3
    model = onnx.load(path)
    bias = next(
        item for item in model.graph.initializer if re.fullmatch(r"model\.head\.\d+\.bias", item.name)
    )
    bias.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(bias) + np.eye(11)[0].astype("f") * 2, bias.name)
    )
    onnx.save(model, str(tmp_path / "shifted.onnx"))
    most, mean = logit_differences(wanted, tmp_path / "shifted.onnx", frames, engine)
    logits, heatmap = (part.numel() for part in _raw(net, frames))
    assert most == pytest.approx(2, abs=1e-3)
    assert mean == pytest.approx(2 * logits / 11 / (logits + heatmap), rel=1e-2)


def test_logits_that_an_engine_or_graph_does_not_show_are_not_compared(
    exported: tuple[DeployedNet, Path],
) -> None:
    _, path = exported
    logits = np.zeros((1, 11, 4, 4), np.float32)
    frames = np.stack([FRAME])
    assert logit_differences({"no_such_tensor": logits}, path, frames, available_engines()[0]) == (None, None)
    shown = next(iter(conv_nodes(onnx.load(path).graph).values())).output[0]
    assert logit_differences({shown: logits}, path, frames, "tensorrt") == (None, None)


def _raw(net: DeployedNet, frames: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        out = net.raw(torch.from_numpy(frames))
    return out.logits, out.detection.heatmap


def test_failing_gate_says_where() -> None:
    with pytest.raises(TrainingError, match=r"openvino agrees with torch on 50.*; at layer x of openvino"):
        require_parity([Parity("openvino", 1, 0.5)], lambda engine: f"at layer x of {engine}")


@pytest.mark.parametrize(("spread", "tied"), [(0.0, True), (9e-4, True), (0.1, False)])
def test_failing_gate_says_that_scores_are_tied(spread: float, tied: bool) -> None:
    """Of torch's scores alone, in all frames."""
    places = np.arange(40, dtype=np.float32)[:, None] * 10 + np.float32([0, 0, 5, 5])

    def answer(order: np.ndarray, spread: float) -> dict[str, np.ndarray]:
        scores = 0.5 - np.linspace(0, spread, 20, dtype=np.float32)
        return {"boxes": places[order][None], "scores": scores[None], "labels": np.zeros((1, 20), int)}

    one, other = np.arange(20), np.arange(20, 40)
    in_torch, engine = ([answer(order, 0), answer(order, spread)] for order in (one, other))
    with pytest.raises(TrainingError, match=r"agrees with torch on 0\.00% of detections") as caught:
        require_parity([compare_answers("openvino", in_torch, engine)])
    assert (HARDLY_TRAINED in str(caught.value)) == tied


def detections(*found: tuple[float, float, int]) -> dict[str, np.ndarray]:
    """An engine's answer: boxes of 10x10 pixels by left edge, score and class."""
    boxes = np.array([[left, 0, left + 10, 10] for left, _, _ in found], np.float32)
    scores, labels = (np.array([[item[part] for item in found]]) for part in (1, 2))
    return {"boxes": boxes[None], "scores": scores.astype(np.float32), "labels": labels}


CAR, OTHER_CAR = (0, 0.9, 1), (50, 0.8, 1)


@pytest.mark.parametrize(
    ("in_torch", "in_engine", "agreement"),
    [
        ([CAR], [CAR], 1.0),
        ([CAR, OTHER_CAR], [CAR], 0.75),  # half of torch's found again, and all of the engine's
        ([CAR], [CAR, OTHER_CAR], 0.75),
        ([CAR], [(0, 0.9, 2)], 0.0),
        ([CAR], [(3, 0.9, 1)], 0.0),  # 7 of 13 pixels in common
        ([CAR], [(0, 0.5, 1)], 0.0),
    ],
    ids=["same", "one missing", "one too many", "other class", "other place", "other score"],
)
def test_detections_agree_that_both_have_alike(
    in_torch: list[tuple[float, float, int]], in_engine: list[tuple[float, float, int]], agreement: float
) -> None:
    found = compare_answers("openvino", [detections(*in_torch)], [detections(*in_engine)])
    assert found.box_agreement == pytest.approx(agreement)


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_logits_that_are_apart_stop_an_export(difference: float) -> None:
    result = Parity("fp32 on openvino", 1, 1.0, 0, 1.0, difference, difference)
    with pytest.raises(TrainingError, match=r"fp32 on openvino has logits up to \S+ from torch's"):
        require_parity([result])
    require_parity([Parity("fp32 on openvino", 1, 1.0, 0, 1.0, 1e-3, 1e-4)])
