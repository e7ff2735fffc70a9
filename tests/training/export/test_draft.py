"""A bundle's graphs and manifest say what the recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.bundle import Bundle
from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import untrained_run
from training.compression.spec import QuantizeSpec
from training.data.source_spec import frames_at
from training.errors import TrainingError
from training.export import draft
from training.export.draft import draft_bundle, frames_of
from training.export.forms import TENSORRT, Form
from training.export.gate import Budget, Judge
from training.run_folder import load_model

FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8


def kernels(bundle: Bundle) -> tuple[list[str], list[str]]:
    """Weights of the INT8 file's convolutions: those in FP32, those in INT8."""
    graph = onnx.load(str(bundle.model_path("int8"))).graph
    found = {item.name: item.data_type for item in graph.initializer if len(item.dims) == 4}
    in_float = [name for name, kind in found.items() if kind == FLOAT and name.endswith(".weight")]
    return in_float, [name for name, kind in found.items() if kind == INT8]


@pytest.mark.parametrize("rule", ["letterbox", "stretch"])
def test_the_vehicle_resizes_frames_by_the_rule_that_training_did(
    tmp_path: Path, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "write_onnx", lambda *arguments: arguments[3].write_bytes(b"a graph"))
    recipe, _ = load_model(untrained_run(tmp_path))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"resize": rule})})
    bundle = draft_bundle(tiny_net(), recipe, tmp_path / "bundle")
    assert bundle.manifest.input.resize == rule


class Calibrated(Exception):
    """Carries the frames that a quantizer was given."""


def test_int8_is_calibrated_on_a_bag_or_pictures_whatever_their_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quantizer(_: Path, frames: list[np.ndarray], *__: object) -> None:
        raise Calibrated(frames)

    monkeypatch.setattr(draft, "write_onnx", lambda *arguments: arguments[3].write_bytes(b"a graph"))
    monkeypatch.setattr(draft, "Quantizer", quantizer)
    recipe, model = load_model(untrained_run(tmp_path))
    white = np.full((*recipe.data.size, 3), 255, np.uint8)
    frames = [LabelledFrame(name, white, np.zeros(white.shape[:2], np.uint8), None) for name in "abc"]
    write_bag(tmp_path / "bag", frames, BagOptions(start_ns=10**18), {0: "spaceship"})
    (tmp_path / "pictures" / "below").mkdir(parents=True)
    assert cv2.imwrite(str(tmp_path / "pictures" / "below" / "black.png"), 0 * white)
    for name, count, value in (("bag", 3, 255), ("pictures", 1, 0)):
        form = QuantizeSpec(source=frames_at(tmp_path / name), frames=3)
        with pytest.raises(Calibrated) as seen:
            draft_bundle(model, recipe, tmp_path / f"from_{name}", form)
        found = np.stack(seen.value.args[0])
        assert found.shape == (count, *recipe.data.size, 3)
        assert (found == value).all()


@pytest.mark.parametrize(
    ("lossy", "baseline", "fits"),
    [("", {}, True), (TENSORRT, {}, False), ("onnxruntime", {}, False), ("", {"miou": 1.0}, False)],
    ids=["loses nothing", "loses as TensorRT rounds it", "loses on an engine", "FP32 has lost already"],
)
def test_layers_stay_in_float_for_whatever_the_gate_would_refuse(
    lossy: str, baseline: dict[str, float], fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def search(*given: Any) -> list[str]:
        answers.append(given[3](()))
        return []

    def score(_: Bundle, judge: Judge, form: Form) -> dict[str, float]:
        return {name: value - (form.engine == lossy) for name, value in judge.full.items()}

    monkeypatch.setattr(draft, "fewest_float_layers", search)
    monkeypatch.setattr(draft, "score_form", score)
    recipe, _ = load_model(untrained_run(tmp_path))
    searched = QuantizeSpec(frames=2, max_float_layers=1)
    draft_bundle(tiny_net(), recipe, tmp_path / "bundle", searched, Budget(0.01, baseline))
    assert answers == [fits]


def test_the_one_layer_that_int8_spoils_is_found_and_left_in_float(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A huge weight for a channel that is always 0: beside it INT8 rounds the layer's others to nothing."""
    recipe, _ = load_model(untrained_run(tmp_path))
    (frames,) = recipe.data.val
    unlabelled = frames.model_copy(update={"use_masks": False, "use_boxes": False})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"val": [unlabelled]})})
    monkeypatch.setattr("training.export.gate.ANSWERS_FROM", 0.05)  # an untrained network is sure of nothing
    net = tiny_net(encoder="squeezenet1_1", width_multiplier=1.0)  # of few layers: each is tried alone
    with torch.no_grad():
        pictures = np.stack(list(frames_of(recipe, recipe.data.val, 2)))
        logits = net(torch.from_numpy(pictures).float().permute(0, 3, 1, 2)).logits
        net.head[-1].bias -= logits.mean((0, 2, 3))  # else nearly all is of one class
        norm = net.head[0][1][1]
        norm.weight[0], norm.bias[0] = 0, 0
        net.head[-1].weight[:, 0] = 1e5
    searched = QuantizeSpec(frames=2, max_float_layers=5)
    bundle = draft_bundle(net, recipe, tmp_path / "bundle", searched, Budget(0.5, max_map50_drop=1.0))
    in_float, _ = kernels(bundle)
    assert in_float == [f"model.head.{len(net.head) - 1}.weight"]


def test_layers_that_were_trained_in_float_stay_so_in_the_int8_file(tmp_path: Path) -> None:
    recipe, model = load_model(untrained_run(tmp_path, qat="asymmetric", float_layers=("detection_head.*",)))
    bundle = draft_bundle(model, recipe, tmp_path / "bundle", QuantizeSpec(frames=2))
    in_float, in_int8 = kernels(bundle)
    assert in_float
    assert in_int8
    assert all("detection_head" in name for name in in_float)
    assert not any("detection_head" in name for name in in_int8)


def test_a_layer_that_training_is_to_leave_in_float_must_exist(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"qat_float_layers: no layer is 'detectionhead\.\*'"):
        untrained_run(tmp_path, qat="asymmetric", float_layers=("detectionhead.*",))
