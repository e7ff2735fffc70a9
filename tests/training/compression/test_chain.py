"""A whole compression of a tiny student, in process so that latency can be made certain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from distill_perception.bundle import Bundle, load_bundle
from tests.support.tiny_compression import STEPS, compress_recipe
from training.compression import chain
from training.compression.fake_quant import QatConv2d
from training.compression.latency import Candidate
from training.compression.pruning import run as pruning
from training.errors import GateError, TrainingError
from training.export.parity import Parity
from training.export.write_bundle import ExportRequest
from training.models.multi_task import count_parameters
from training.recipe import load_recipe
from training.run_folder import load_model

pytestmark = pytest.mark.slow

NAMES = ["00_start", "01_channels", "02_finetune", "03_qat", "04_cluster"]


@pytest.fixture(scope="module")
def compressed(student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle, list[str]]:
    out, said = tmp_path_factory.mktemp("out"), []

    def latencies(items: list[Candidate], *settings: object) -> list[float]:
        assert settings == ("onnxruntime", 1, 1, "cpu")  # as the table's
        return [float(item.bundle) for item in items]

    with pytest.MonkeyPatch.context() as patch:  # parameters stand for milliseconds
        patch.setattr(pruning, "draft_bundle", lambda model, *_, **__: count_parameters(model))
        patch.setattr(pruning, "latencies_ms", latencies)
        bundle = chain.compress(compress_recipe(student), out, say=said.append)
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


def test_resuming_does_no_step_again(
    compressed: tuple[Path, Bundle, list[str]], student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a finished step was done again")

    monkeypatch.setattr(chain, "do", never)
    monkeypatch.setattr(chain, "write_bundle", lambda request: (load_bundle(request.out), []))
    out = compressed[0]
    assert chain.compress(compress_recipe(student), out, resume=True, say=lambda _: None).path.is_dir()
    with pytest.raises(TrainingError, match="--resume"):
        chain.compress(compress_recipe(student), out)
    with pytest.raises(TrainingError, match="other steps"):
        chain.compress(compress_recipe(student, steps=STEPS[::-1]), out, resume=True)
    with pytest.raises(TrainingError, match="other threads"):  # that channels were cut with
        chain.compress(compress_recipe(student, threads=2), out, resume=True)


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
        chain.compress(compress_recipe(student), out, resume=True, say=said.append)
    assert len(asked) == len(set(asked)) == len(NAMES)
    assert (out / "report.md").read_text().count("Refused: ") == len(NAMES)
    assert sum("is refused: mask on openvino" in line for line in said) == len(NAMES)
    passes = True
    asked.clear()
    chain.compress(compress_recipe(student), out, resume=True, say=lambda _: None)
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
    chain.compress(compress_recipe(student), out, resume=True, say=said.append)
    assert "FP16 is left out of the bundle: fp16 on openvino: mIoU 0.2 below fp32" in said[-1]
    best = out / "steps" / json.loads((out / "report.json").read_text())["chosen"] / "run"
    assert tried == [(best, True), (best, False)]  # the point itself is not given up


def test_steps_go_on_with_a_network_that_was_cut_elsewhere(
    compressed: tuple[Path, Bundle, list[str]], student: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(compressed[0] / "steps" / "02_finetune" / "run", cut)
    spec = compress_recipe(student, steps=[{"do": "take", "run": cut}, {"do": "cluster", "bits": 8}])
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
