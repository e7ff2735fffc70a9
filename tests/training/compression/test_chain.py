"""A whole compression of a tiny student, in process so that latency can be made certain."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import engine_problems
from tests.support.tiny_nets import BOTH
from tests.support.tiny_training import tiny_recipe, untrained_run, write_color_blocks
from training.compression import chain, check
from training.compression.fake_quant import QatConv2d
from training.compression.latency import Candidate
from training.compression.pruning import run as pruning
from training.compression.spec import ChannelStep, CompressRecipe, FinetuneStep
from training.compression.steps import base_recipe, do
from training.errors import GateError, TrainingError
from training.export.draft import draft_bundle
from training.export.evaluate import Score
from training.export.gate import Budget
from training.export.parity import Parity
from training.export.write_bundle import ExportRequest
from training.models.multi_task import MultiTaskNet, count_parameters
from training.models.spec import ModelSpec
from training.models.table import count_macs
from training.recipe import Recipe, load_recipe
from training.run_folder import load_model
from training.train import train

pytestmark = pytest.mark.slow

STEPS = [
    {"do": "channels", "latency": 0.6, "importance": "taylor", "frames": 4},
    {"do": "finetune", "epochs": 1, "lr": 1.0e-2, "share": 0.25},
    {
        "do": "qat",
        "epochs": 1,
        "quantize": {"calibrator": "mse", "frames": 4, "float_layers": ["detection_head.*"]},
    },
    {"do": "cluster", "bits": 4},
]
NAMES = ["00_start", "01_channels", "02_finetune", "03_qat", "04_cluster"]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("student")
    folders = write_color_blocks(root / "t", 8, 1, True), write_color_blocks(root / "v", 4, 2, True)
    model = ModelSpec(encoder="squeezenet1_1", pretrained=False, decoder_width=16, tasks=BOTH)
    train(tiny_recipe(*folders, epochs=1, model=model), root / "run")
    return root / "run"


def recipe(student: Path, **changes: object) -> CompressRecipe:
    values = {
        "name": "tiny_small",
        "run": student,
        "engine": "onnxruntime",
        "rounds": 1,
        "threads": 1,
        "max_miou_drop": 100,
        "teacher": {"run": student},  # in the loop of qat and of taylor's gradients
        "distillation": [{"name": "kl"}],
        "steps": STEPS,
    }
    return CompressRecipe.model_validate(values | changes)


@pytest.fixture(scope="module")
def compressed(student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, list[str]]:
    out, said = tmp_path_factory.mktemp("out"), []

    def latencies(items: list[Candidate], *settings: object) -> list[float]:
        assert settings == ("onnxruntime", 1, 1, "cpu")  # as the table's
        return [float(item.bundle) for item in items]

    with pytest.MonkeyPatch.context() as patch:  # parameters stand for milliseconds
        patch.setattr(pruning, "draft_bundle", lambda model, *_: count_parameters(model))
        patch.setattr(pruning, "latencies_ms", latencies)
        bundle = chain.compress(recipe(student), out, say=said.append)
    return out, bundle, said


def test_every_step_leaves_a_run_that_loads_and_a_row_in_the_table(
    compressed: tuple[Path, Bundle, list[str]], student: Path
) -> None:
    out, _, said = compressed
    assert len(said) == len(STEPS)
    rows = [line.split("|")[1].strip() for line in said[-1].splitlines()[2:] if line]
    assert rows == NAMES
    full = count_parameters(load_model(student)[1])
    models = {name: load_model(out / "steps" / name / "run")[1] for name in NAMES[1:]}
    assert all(count_parameters(model) <= 0.6 * full for model in models.values())


def test_training_after_pruning_has_the_teacher_in_the_loop(
    compressed: tuple[Path, Bundle, list[str]],
) -> None:
    log = next((compressed[0] / "steps" / "03_qat" / "run" / "log").glob("*.csv")).read_text()
    assert "loss/distill_kl" in log


def test_qat_trains_what_is_shipped_layers_left_in_float_too(
    compressed: tuple[Path, Bundle, list[str]],
) -> None:
    model = load_model(compressed[0] / "steps" / "03_qat" / "run")[1]
    simulated = {name.split(".")[0] for name, layer in model.named_modules() if isinstance(layer, QatConv2d)}
    assert "encoder" in simulated
    assert "detection_head" not in simulated


def test_finetuning_with_a_share_goes_so_far_from_the_network_before(
    compressed: tuple[Path, Bundle, list[str]],
) -> None:
    before, place = compressed[0] / "steps" / "01_channels" / "run", compressed[0] / "steps" / "02_finetune"
    start, end, taken = (
        load_model(run)[1].state_dict() for run in (before, place / "trained", place / "run")
    )
    assert sum(not torch.equal(start[name], end[name]) for name in start) > 10
    for name, value in taken.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * end[name])
    init = load_recipe(compressed[0] / "steps" / "03_qat" / "run" / "recipe.yaml").model.init
    assert init == place / "run"


def test_report_has_costs_scores_and_a_figure(compressed: tuple[Path, Bundle, list[str]]) -> None:
    out, bundle, _ = compressed
    report = json.loads((out / "report.json").read_text())
    points = {row["point"]["name"]: row for row in report["points"]}
    assert list(points) == NAMES
    assert points["03_qat"]["point"]["precision"] == "int8"
    sizes = {name: row["point"]["size_bytes"] for name, row in points.items()}
    assert sizes["04_cluster"] < sizes["03_qat"] < sizes["01_channels"] < sizes["00_start"]
    assert {"openvino", "onnxruntime"} <= points["00_start"]["latency_ms"].keys()
    assert points["00_start"]["point"]["scores"].keys() == {"miou", "map50", "map"}
    assert "| mIoU | mAP50 | mAP |" in (out / "report.md").read_text()
    assert (out / "pareto.png").stat().st_size > 1000
    assert f"Taken: {report['chosen']}" in (out / "report.md").read_text()
    assert bundle.path == out / "bundle" / "tiny_small"
    assert any(metric.name == "mask_agreement_with_torch" for metric in bundle.manifest.metrics)  # the gate


def test_channels_go_until_macs_are_few_enough_though_latency_was_met_before(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "draft_bundle", lambda *_: None)
    monkeypatch.setattr(pruning, "latencies_ms", lambda *_: [1.0, 0.1])
    step = ChannelStep(do="channels", latency=0.9, macs=0.5)
    spec = recipe(student, steps=[step])
    pruning.prune_run(student, step, base_recipe(spec), spec, tmp_path / "out")
    frame = torch.empty(1, 3, *load_recipe(student / "recipe.yaml").data.size)
    macs = [count_macs(load_model(run)[1], frame) for run in (student, tmp_path / "out")]
    assert 0.4 < macs[1] / macs[0] <= 0.5


def test_a_scan_cuts_where_the_engine_gets_faster_though_others_have_more_to_give(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "draft_bundle", lambda model, *_: count_parameters(model.detection_head))
    monkeypatch.setattr(pruning, "latencies_ms", lambda items, *_: [float(item.bundle) for item in items])
    step = ChannelStep(do="channels", latency=0.7, layers="sensitivity", frames=2)
    spec = recipe(student, steps=[step])
    share = pruning.prune_run(student, step, base_recipe(spec), spec, tmp_path / "out")
    before, after = (load_model(run)[1] for run in (student, tmp_path / "out"))
    assert share == count_parameters(after.detection_head) / count_parameters(before.detection_head) <= 0.7
    assert count_parameters(after.encoder) == count_parameters(before.encoder)


def test_resuming_does_no_step_again(
    compressed: tuple[Path, Bundle, list[str]], student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a finished step was done again")

    monkeypatch.setattr(chain, "do", never)
    monkeypatch.setattr(chain, "write_bundle", lambda request: (load_bundle(request.out), []))
    out = compressed[0]
    assert chain.compress(recipe(student), out, resume=True, say=lambda _: None).path.is_dir()
    with pytest.raises(TrainingError, match="--resume"):
        chain.compress(recipe(student), out)
    with pytest.raises(TrainingError, match="other steps"):
        chain.compress(recipe(student, steps=STEPS[::-1]), out, resume=True)
    with pytest.raises(TrainingError, match="other threads"):  # that channels were cut with
        chain.compress(recipe(student, threads=2), out, resume=True)


def test_where_the_gate_refuses_the_best_point_the_next_is_taken(
    compressed: tuple[Path, Bundle, list[str]], student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, asked, said = compressed[0], [], []
    passes = False

    def gate(request: ExportRequest) -> tuple[Bundle, list[Parity]]:
        asked.append(request.run)
        if len(asked) == 1 or not passes:
            raise GateError("mask on openvino agrees on 0.9")
        return load_bundle(compressed[1].path), []

    monkeypatch.setattr(chain, "write_bundle", gate)
    kept = {name: (out / name).read_bytes() for name in ("report.md", "report.json", "pareto.png")}
    with pytest.raises(TrainingError, match="the gate refused every step"):
        chain.compress(recipe(student), out, resume=True, say=said.append)
    assert len(asked) == len(set(asked)) == len(NAMES)
    assert (out / "report.md").read_text().count("Refused: ") == len(NAMES)
    assert sum("is refused: mask on openvino" in line for line in said) == len(NAMES)
    passes = True
    asked.clear()
    chain.compress(recipe(student), out, resume=True, say=lambda _: None)
    report = json.loads((out / "report.json").read_text())
    (first,) = report["refused"]
    assert first != report["chosen"]
    assert len(asked) == 2
    for name, content in kept.items():
        (out / name).write_bytes(content)


def test_fp16_is_left_out_where_it_alone_fails_the_gate(
    compressed: tuple[Path, Bundle, list[str]], student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, said = compressed[0], []
    tried: list[tuple[Path, bool]] = []

    def gate(request: ExportRequest) -> tuple[Bundle, list[Parity]]:
        tried.append((request.run, request.fp16))
        if request.fp16:
            raise GateError("fp16 on openvino: mIoU 0.2 below fp32", "fp16")
        return load_bundle(compressed[1].path), []

    monkeypatch.setattr(chain, "write_bundle", gate)
    chain.compress(recipe(student), out, resume=True, say=said.append)
    assert "FP16 is left out of the bundle: fp16 on openvino: mIoU 0.2 below fp32" in said[-1]
    best = out / "steps" / json.loads((out / "report.json").read_text())["chosen"] / "run"
    assert tried == [(best, True), (best, False)]  # the point itself is not given up


def test_steps_go_on_with_a_network_that_was_cut_elsewhere(
    compressed: tuple[Path, Bundle, list[str]], student: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(compressed[0] / "steps" / "02_finetune" / "run", cut)
    spec = recipe(student, steps=[{"do": "take", "run": cut}, {"do": "cluster", "bits": 8}])
    chain.compress(spec, tmp_path / "out", say=lambda _: None)
    points = [
        json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "steps").glob("*/point.json"))
    ]
    assert [point["name"] for point in points] == ["00_start", "01_take", "02_cluster"]
    whole, *others = (point["parameters"] for point in points)
    assert others == [count_parameters(load_model(cut)[1])] * 2
    assert others[0] < whole
    shutil.rmtree(cut)  # it has been taken
    load_model(tmp_path / "out" / "steps" / "01_take" / "run")


def test_another_network_is_not_gone_on_with(student: Path, tmp_path: Path) -> None:
    other = untrained_run(tmp_path)
    with pytest.raises(TrainingError, match=r"'take': .* is another network \(.*encoder"):
        chain.compress(recipe(student, steps=[{"do": "take", "run": other}]), tmp_path / "out")
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
    spec = recipe(student, data=data, steps=[{"do": "quantize", "frames": 4}])
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
    spec = recipe(student, max_miou_drop=2, steps=[{"do": "sparsify"}])
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
    spec = recipe(student, engine="tensorrt", device="cuda", steps=[{"do": "sparsify"}])
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
        chain.compress(recipe(student, steps=steps), tmp_path / "out")
    steps = [*STEPS, {"do": "qat", "epochs": 1, "quantize": {"float_layers": ["detection_haed.*"]}}]
    with pytest.raises(TrainingError, match=r"no layer is 'detection_haed\.\*'"):
        chain.compress(recipe(student, steps=steps), tmp_path / "out")
    with pytest.raises(TrainingError, match="'tensorflow' is not available"):
        chain.compress(recipe(student, engine="tensorflow"), tmp_path / "out")
    if engine_problems("cuda")["tensorrt"] is not None:
        with pytest.raises(TrainingError, match=r"'tensorrt' is not available on cuda "):
            chain.compress(recipe(student, engine="tensorrt", device="cuda"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_task_without_labels_stops_before_the_first_step(student: Path, tmp_path: Path) -> None:
    own = load_model(student)[0].data
    hidden = own.model_copy(update={"val": [own.val[0].model_copy(update={"use_boxes": False})]})
    with pytest.raises(TrainingError, match=r"no labels for detection.*name a labelled source first"):
        chain.compress(recipe(student, data=hidden), tmp_path / "out", say=lambda _: None)
    assert [place.name for place in (tmp_path / "out" / "steps").iterdir()] == ["00_start"]


def test_a_changed_training_step_begins_anew(student: Path, tmp_path: Path) -> None:
    """Of its first try there is an epoch, of another learning rate and number of epochs."""
    spec = recipe(student)
    for step, expected in (
        (FinetuneStep(do="finetune", epochs=1, lr=1e-3), (1, 1e-3)),
        (FinetuneStep(do="finetune", epochs=2, lr=1e-4), (2, 1e-4)),
    ):
        do(step, student, tmp_path / "step", base_recipe(spec), spec, sparse=False)
        optimizer = load_recipe(tmp_path / "step" / "run" / "recipe.yaml").optimizer
        assert (optimizer.epochs, optimizer.lr) == expected
        with (tmp_path / "step" / "run" / "log" / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows if row["miou/blocks"]] == [str(n) for n in range(expected[0])]
