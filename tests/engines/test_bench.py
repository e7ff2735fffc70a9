"""`distill-perception engine bench`: every form of a bundle is timed here, beside its scores."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from distill_perception import bench as bench_module
from distill_perception.bench import (
    WARM_UP,
    Scores,
    Timed,
    accuracy_over_latency,
    bench,
    check_scored,
    form_scores,
    open_forms,
    take_turns,
)
from distill_perception.bundle import Bundle, Manifest, Metric, load_bundle
from distill_perception.cli import app
from distill_perception.engines import Engine, EngineSettings, available_engines
from distill_perception.engines import open_engine as really_open
from distill_perception.engines.tensorrt.store import VARIABLE
from distill_perception.errors import ConfigError, EngineError
from tests.support.tiny_bundle import write_tiny_bundle


def ignore(what: str, done: int, total: int) -> None:
    pass


def test_all_take_turns_and_each_gets_its_own_time() -> None:
    order: list[str] = []

    def slow() -> None:
        order.append("slow")
        time.sleep(0.005)

    times = take_turns([slow, lambda: order.append("fast")], 4)
    assert times.shape == (2, 4)
    assert (times[0] >= 5).all()
    assert np.median(times[1]) < 5
    turns = [order[start : start + 2] for start in range(0, len(order), 2)]
    assert [sorted(turn) for turn in turns] == [["fast", "slow"]] * (WARM_UP + 4)
    assert len({tuple(turn) for turn in turns}) == 2  # nobody is always first


def test_the_command_shows_every_engine_and_writes_what_it_measured(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny", name="tiny")
    words = ["engine", "bench", str(bundle), "--batch", "1", "--batch", "3", "--rounds", "10"]
    done = CliRunner().invoke(app, [*words, "--device", "cpu", "--json", str(tmp_path / "new" / "all.json")])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "new" / "all.json").read_text())["rows"]
    found = {(row["engine"], row["precision"], row["batch"]) for row in rows}
    assert found == {(name, "fp32", batch) for name in available_engines() for batch in (1, 3)}
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in rows)
    for row in rows:
        assert f"{row['p50_ms']:.2f}" in done.stdout


def test_what_an_engine_cannot_open_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = available_engines()

    def open_engine(bundle: Bundle, name: str, settings: EngineSettings) -> Engine:
        if name == first:
            raise EngineError("this GPU has no FP8")
        return really_open(bundle, name, settings)

    monkeypatch.setattr(bench_module, "open_engine", open_engine)
    with open_forms([load_bundle(write_tiny_bundle(tmp_path / "tiny"))], EngineSettings()) as forms:
        assert [row.engine for row in bench(forms, 10, ignore)] == others
    assert f"left out: tiny fp32 on {first}: this GPU has no FP8" in capsys.readouterr().err


def test_a_device_that_nothing_serves_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    done = CliRunner().invoke(app, ["engine", "bench", str(bundle), "--device", "cuda:7"])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "no engine serves device 'cuda:7' here; `distill-perception engine list --device cuda:7`" in said


def test_points_of_the_figure_are_named_by_what_tells_them_apart() -> None:
    def row(bundle: str, precision: str, miou: float | None) -> Timed:
        return Timed(bundle, precision, "openvino", "openvino 1", 1, 0.1, 0.1, 5.0, 6.0, Scores("d", miou))

    one = accuracy_over_latency([row("a", "fp32", 0.7), row("a", "int8", 0.6), row("a", "fp16", None)])
    assert [(point.name, point.x, point.y) for point in one.points] == [
        ("fp32", 5.0, 0.7),
        ("int8", 5.0, 0.6),
    ]
    assert one.left_out == ("fp16",)
    two = accuracy_over_latency([row("a", "int8", 0.7), row("b", "int8", 0.6)])
    assert [point.name for point in two.points] == ["a", "b"]


def test_scores_are_those_of_the_form_on_the_first_data_set(tmp_path: Path) -> None:
    def metric(name: str, value: float, data: str) -> Metric:
        return Metric(name=name, value=value, data=data, command="x")

    metrics = (
        metric("miou", 0.7, "camvid val, 101 frames, fp32 on openvino"),
        metric("miou", 0.6, "camvid val, 101 frames, int8 on openvino"),
        metric("map50", 0.5, "camvid val, 101 frames, int8 on openvino"),
        metric("miou", 0.9, "synthetic val, 24 frames, int8 on openvino"),
        metric("miou", 0.4, "camvid val, 101 frames, int8 as TensorRT rounds it"),
        metric("miou", 0.5, "camvid val, 101 frames, fp16 on tensorrt, cuda"),
        metric("miou", 0.99, "drive val, 12 frames, fp32's answers as labels, int8 on onnxruntime"),
        metric("mask_agreement", 0.99, "9 val frames, int8 on onnxruntime"),
    )
    manifest = load_bundle(write_tiny_bundle(tmp_path / "tiny")).manifest
    scored = Manifest.model_validate({**manifest.model_dump(), "metrics": metrics})
    camvid = "camvid val, 101 frames"
    assert form_scores(scored, "openvino", "int8") == Scores(camvid, 0.6, 0.5)
    assert form_scores(scored, "tensorrt", "int8") == Scores(camvid, 0.4)
    assert form_scores(scored, "tensorrt", "fp16") == Scores(camvid, 0.5)
    assert form_scores(scored, "onnxruntime", "int8") == Scores()  # agreement is no score


def test_engines_are_built_in_a_cache_of_their_own_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "the node's")
    stored: list[tuple[int, list[str]]] = []
    closed: list[int] = []

    def open_engine(bundle: object, name: str, settings: EngineSettings) -> SimpleNamespace:
        if settings.max_batch == 9:
            raise KeyboardInterrupt
        cache = Path(os.environ[VARIABLE])
        stored.append((settings.max_batch, [file.name for file in cache.iterdir()]))
        (cache / f"batch{settings.max_batch}").touch()
        return SimpleNamespace(close=lambda: closed.append(settings.max_batch))

    monkeypatch.setattr(bench_module, "open_engine", open_engine)
    monkeypatch.setattr(bench_module, "engines_by_precision", lambda *_: [("tensorrt", "fp32")])
    bundle = load_bundle(write_tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(KeyboardInterrupt), open_forms([bundle], EngineSettings(), (4, 1, 9)):
        pytest.fail("opened")
    assert stored == [(1, []), (1, ["batch1"]), (4, []), (4, ["batch4"])]
    assert sorted(closed) == [1, 1, 4, 4]
    assert os.environ[VARIABLE] == "the node's"


def test_bundles_of_one_name_are_told_apart_and_a_figure_without_scores_is_refused(tmp_path: Path) -> None:
    places = [write_tiny_bundle(tmp_path / place) for place in ("a", "b")]
    with open_forms([load_bundle(place) for place in places], EngineSettings()) as forms:
        assert {form.label for form in forms} == {str(place) for place in places}
        with pytest.raises(ConfigError, match="leave --figure out"):
            check_scored(forms)
