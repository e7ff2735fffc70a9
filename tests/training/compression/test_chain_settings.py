"""What a compression takes from its recipe, and the mistakes that stop it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_perception.bundle import Bundle
from distill_perception.engines import engine_problems
from tests.support.tiny_compression import STEPS, compress_recipe
from tests.support.tiny_training import untrained_run, write_color_blocks
from training.compression import chain, check
from training.compression.latency import Candidate
from training.errors import GateError, TrainingError
from training.export.draft import draft_bundle
from training.export.evaluate import Score
from training.export.gate import Budget
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe
from training.run_folder import load_model

pytestmark = pytest.mark.slow


def test_another_network_is_not_gone_on_with(student: Path, tmp_path: Path) -> None:
    other = untrained_run(tmp_path)
    with pytest.raises(TrainingError, match=r"'take': .* is another network \(.*encoder"):
        chain.compress(compress_recipe(student, steps=[{"do": "take", "run": other}]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_bundle_is_calibrated_and_scored_on_the_compress_recipes_data(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load_model(student)[0].data
    (val,) = own.val
    (train,) = own.train
    other = {"name": "elsewhere", "path": write_color_blocks(tmp_path / "other", 6, 9, True)}
    sources = {"train": [train.model_copy(update=other)], "val": [val.model_copy(update=other)]}
    data = own.model_copy(update=sources)
    monkeypatch.setattr(chain, "choose", lambda measured, *_: measured[1])  # quantize, of the start itself
    spec = compress_recipe(student, data=data, steps=[{"do": "quantize", "frames": 4}])
    bundle = chain.compress(spec, tmp_path / "out", say=lambda _: None)
    scores = {
        metric.value: metric.data
        for metric in bundle.manifest.metrics
        if metric.name == "miou" and metric.data.endswith("onnxruntime") and "int8" in metric.data
    }
    point = json.loads((tmp_path / "out" / "steps" / "01_quantize" / "point.json").read_text())
    assert scores == {round(point["scores"]["miou"], 4): "elsewhere val, 6 frames, int8 on onnxruntime"}
    assert set(bundle.manifest.precisions) == {"fp32", "fp16", "int8"}
    table = tmp_path / "out" / "steps" / "01_quantize" / "bundle" / "student_int8.onnx"
    assert bundle.model_path("int8").read_bytes() == table.read_bytes()
    assert bundle.manifest.provenance.data == train.name  # what the network was trained on stays


def test_what_may_be_lost_counts_from_the_start_in_search_and_gate(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = []

    def noting_budget(model: MultiTaskNet, own: Recipe, place: Path, int8: object, budget: Budget) -> Bundle:
        budgets.append(budget)
        return draft_bundle(model, own, place, budget=budget)

    monkeypatch.setattr(chain, "draft_bundle", noting_budget)
    monkeypatch.setattr(chain, "evaluate_bundle", lambda *_: Score({"miou": 0.75, "map50": 0.5}, 4))
    monkeypatch.setattr(chain, "write_bundle", lambda request: (budgets.append(request.budget), []))
    spec = compress_recipe(student, max_miou_drop=2, steps=[{"do": "sparsify"}])
    chain.compress(spec, tmp_path / "out", say=lambda _: None)
    assert budgets[1:] == [Budget(0.02, {"miou": 0.75, "map50": 0.5})] * 2


def test_an_engine_on_a_gpu_decides_where_the_recipe_says_so(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for TensorRT, which finds fast what the CPU's engines find slow."""

    def latencies(
        items: list[Candidate], engine: str, rounds: int, threads: int, *device: str
    ) -> list[float]:
        assert ("cuda" in device) == (engine == "tensorrt")
        slowest_first = [float(len(items) - index) for index in range(len(items))]
        return slowest_first if engine == "tensorrt" else slowest_first[::-1]

    def evaluated(*given: Any) -> Score:
        assert (given[3], given[5]) == ("tensorrt", "cuda")
        return Score({"miou": 0.75, "map50": 0.5}, 4)

    monkeypatch.setattr(check, "engine_problems", lambda device: {"tensorrt": None})
    monkeypatch.setattr(chain, "latencies_ms", latencies)
    monkeypatch.setattr(chain, "described", lambda *_: "tensorrt 10.3, NVIDIA X")
    monkeypatch.setattr(chain, "evaluate_bundle", evaluated)
    monkeypatch.setattr(chain, "write_bundle", lambda request: (request.run, []))
    spec = compress_recipe(student, engine="tensorrt", device="cuda", steps=[{"do": "sparsify"}])
    taken = chain.compress(spec, tmp_path / "out", say=lambda _: None)
    assert taken == tmp_path / "out" / "steps" / "01_sparsify" / "run"
    report = (tmp_path / "out" / "report.md").read_text()
    assert "`tensorrt on cuda`: tensorrt 10.3, NVIDIA X." in report
    head = next(line for line in report.splitlines() if line.startswith("| step"))
    assert "| openvino ms |" in head
    assert "| tensorrt on cuda ms |" in head


def test_mistakes_in_later_steps_stop_before_the_first(student: Path, tmp_path: Path) -> None:
    steps = [*STEPS, {"do": "finetune", "epochs": 1, "optimizer": {"epoch": 3}}]
    with pytest.raises(TrainingError, match="did you mean 'epochs'"):
        chain.compress(compress_recipe(student, steps=steps), tmp_path / "out")
    steps = [*STEPS, {"do": "qat", "epochs": 1, "quantize": {"float_layers": ["detection_haed.*"]}}]
    with pytest.raises(TrainingError, match=r"no layer is 'detection_haed\.\*'"):
        chain.compress(compress_recipe(student, steps=steps), tmp_path / "out")
    with pytest.raises(TrainingError, match="'tensorflow' is not available"):
        chain.compress(compress_recipe(student, engine="tensorflow"), tmp_path / "out")
    if engine_problems("cuda")["tensorrt"] is not None:
        with pytest.raises(TrainingError, match=r"'tensorrt' is not available on cuda "):
            chain.compress(compress_recipe(student, engine="tensorrt", device="cuda"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_task_without_labels_stops_before_the_first_step(student: Path, tmp_path: Path) -> None:
    own = load_model(student)[0].data
    hidden = own.model_copy(update={"val": [own.val[0].model_copy(update={"use_boxes": False})]})
    with pytest.raises(TrainingError, match=r"no labels for detection.*name a labelled source first"):
        chain.compress(compress_recipe(student, data=hidden), tmp_path / "out", say=lambda _: None)
    assert [place.name for place in (tmp_path / "out" / "steps").iterdir()] == ["00_start"]


def test_a_start_that_the_gate_refuses_is_told_before_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asked again when the compression goes on, until it has passed."""
    run, asked, done = untrained_run(tmp_path / "start"), [], []

    def gate(bundle: Bundle, *_: object) -> None:
        asked.append(bundle.path.parent.name)
        if len(asked) < 3:
            raise GateError("parity: fp32 on openvino agrees with torch on 0.00% of detections")

    def step(*_: object) -> None:
        done.append(1)
        raise TrainingError("a step has begun")

    monkeypatch.setattr(chain, "pass_gate", gate)
    monkeypatch.setattr(chain, "do", step)
    spec = compress_recipe(run)
    for resume in (False, True):
        with pytest.raises(TrainingError, match=rf"gate refuses {run} itself, before any step: parity: fp32"):
            chain.compress(spec, tmp_path / "out", resume)
    assert not done
    for _ in range(2):
        with pytest.raises(TrainingError, match="a step has begun"):
            chain.compress(spec, tmp_path / "out", resume=True)
    assert asked == ["00_start"] * 3
