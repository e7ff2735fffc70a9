"""What counts as a run, what is left out, what is refused."""

import json
import math
from pathlib import Path

import pytest
import yaml

from distill_perception.compare.discover import discover
from distill_perception.compare.errors import CompareError
from distill_perception.compare.model_cost import ModelCost, read_model_cost, write_model_cost
from tests.compare.runs import write_replay, write_run
from tests.support.tiny_bundle import write_tiny_bundle

MIOU: dict[str, float | None] = {"miou/camvid": 0.7}


def test_a_training_is_read_with_seed_metrics_and_costs(tmp_path: Path) -> None:
    cost = {"parameters": 10, "macs": 20, "latency_ms": {"openvino, cpu, fp32": 3.5}}
    others = {"iou/camvid/sky": None, "iou/camvid/car": math.nan, "converged": True}
    folder = write_run(tmp_path / "kl_s2", 2, MIOU | others, cost=cost)
    ((run,), skipped) = discover([folder])
    assert (run.name, run.seed, run.kind, skipped) == ("kl", 2, "training", [])
    assert run.metrics == {"miou/camvid": 0.7}  # null is no number, nor is what is not finite or yes or no
    assert (run.cost.parameters, run.cost.macs, run.cost.latency_ms) == (10, 20, {"openvino, cpu, fp32": 3.5})


def test_without_a_recipe_the_folder_and_the_provenance_name_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "kl_s2", 2, MIOU)
    (folder / "recipe.yaml").unlink()
    ((run,), _) = discover([folder])
    assert (run.name, run.seed) == ("kl", 2)


def test_a_folder_of_runs_stands_for_all_of_them_in_natural_order(tmp_path: Path) -> None:
    for seed in (10, 2, 1):
        write_run(tmp_path / f"kl_s{seed}", seed, MIOU)
    (tmp_path / "notes").mkdir()
    runs, _ = discover([tmp_path, tmp_path / "kl_s2"])
    assert [run.seed for run in runs] == [1, 2, 10]  # and the one named twice is there once


def test_unfinished_and_damaged_runs_are_listed_not_fatal(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 1, MIOU)
    write_run(tmp_path / "b", 1, None)
    damaged = write_run(tmp_path / "c", 1, MIOU)
    (damaged / "result.json").write_text('{"metrics": ')
    write_run(tmp_path / "d", 1, MIOU, cost={"paramters": 5})
    write_replay(tmp_path / "e", complete=False)
    runs, skipped = discover([tmp_path])
    assert [run.name for run in runs] == ["a"]
    reasons = {item.path.name: item.reason for item in skipped}
    assert "no result.json" in reasons["b"]
    assert "result.json: is damaged" in reasons["c"]
    assert "did you mean 'parameters'?" in reasons["d"]
    assert "stopped early" in reasons["e"]


@pytest.mark.parametrize(
    ("path", "message"), [("nowhere", "no such folder"), ("empty", "no run there; expected")]
)
def test_what_is_no_run_is_refused(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CompareError, match=message):
        discover([tmp_path / path])


def test_what_lies_beside_the_runs_of_a_shells_pattern_is_left_out_and_listed(tmp_path: Path) -> None:
    write_run(tmp_path / "kl_s1", 1, MIOU)
    (tmp_path / "teacher_cache" / "0a").mkdir(parents=True)
    (tmp_path / "fill.log").touch()
    runs, skipped = discover(sorted(tmp_path.iterdir()))
    assert [run.name for run in runs] == ["kl"]
    assert {item.path.name: item.reason for item in skipped} == {
        "fill.log": "is no run",
        "teacher_cache": "is no run",
    }
    with pytest.raises(CompareError, match=r"fill\.log, .*teacher_cache: no run there; expected"):
        discover([tmp_path / "fill.log", tmp_path / "teacher_cache"])


def test_a_bundle_brings_its_manifests_metrics(tmp_path: Path) -> None:
    ((run,), _) = discover([write_tiny_bundle(tmp_path / "tiny")])
    assert run.kind == "bundle"
    assert "tiny" in run.name
    assert run.metrics


def test_a_bundles_score_is_that_of_the_first_engine_and_its_versions_are_apart(tmp_path: Path) -> None:
    keys = []
    for version in ("1", "2"):
        manifest = write_tiny_bundle(tmp_path / version) / "manifest.yaml"
        told = yaml.safe_load(manifest.read_text()) | {"version": version}
        told["metrics"] = [
            {"name": "miou", "value": value, "data": f"camvid val, 101 frames, {engine}"}
            for engine, value in (("onnxruntime", 0.7), ("openvino", 0.6))
        ]
        manifest.write_text(yaml.safe_dump(told))
        ((run,), _) = discover([manifest])
        assert run.metrics == {"miou/camvid": 0.7}
        keys.append(run.key)
    assert keys[0] != keys[1]


def test_the_shipped_bundles_scores_are_named_as_in_run_folders() -> None:
    bundle = Path(__file__).resolve().parents[2] / "models" / "camvid_lite0"
    ((run,), _) = discover([bundle])
    assert {"miou/camvid", "iou/camvid/sky"} <= run.metrics.keys()
    assert {"mask_agreement_with_torch", "map50/synthetic"} <= run.metrics.keys()


def test_neither_other_runs_scores_nor_a_number_of_frames_become_data_sets_of_a_bundle() -> None:
    ((run,), _) = discover([Path(__file__).resolve().parents[2] / "models" / "camvid_lite0"])
    assert [name for name in run.metrics if name.endswith(("/torch", "/9"))] == []


def test_a_bundle_trained_on_labels_only_has_no_teacher(tmp_path: Path) -> None:
    manifest = write_tiny_bundle(tmp_path / "tiny") / "manifest.yaml"
    told = yaml.safe_load(manifest.read_text())
    for teacher, expected in (("none, labels only", None), ("big", "big")):
        told["provenance"]["teacher"] = teacher
        manifest.write_text(yaml.safe_dump(told))
        ((run,), _) = discover([manifest])
        assert (run.teacher.name if run.teacher else None) == expected


def test_a_replay_brings_accuracy_and_the_engines_latency(tmp_path: Path) -> None:
    ((run,), _) = discover([write_replay(tmp_path / "out")])
    assert run.metrics == {"miou": 0.7, "iou/sky": 0.9}
    assert run.cost.latency_ms == {"openvino, cpu, fp32": 11.0}
    assert run.name == "lite0 replayed (openvino, cpu, fp32)"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("engine", "onnxruntime 1.31, cpu, fp32"),
        ("score_threshold", 0.3),
        ("machine", "another"),
        ("bag", "another"),
        ("bundle_sha256", "def"),
        ("mode", "in process"),
        ("rate", 2.0),
    ],
)
def test_replays_that_measured_something_else_are_other_groups(
    part: str, value: object, tmp_path: Path
) -> None:
    replays = [
        write_replay(tmp_path / "a"),
        write_replay(tmp_path / "b"),
        write_replay(tmp_path / "c", **{part: value}),
    ]
    (first, same, other), _ = discover(replays)
    assert first.key == same.key != other.key


def test_metrics_of_something_else_are_no_replay(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 1, MIOU)
    folder = write_replay(tmp_path / "b")
    record = json.loads((folder / "metrics.json").read_text())
    del record["bundle"]
    (folder / "metrics.json").write_text(json.dumps(record))
    runs, (skipped,) = discover([tmp_path])
    assert [run.name for run in runs] == ["a"]
    assert "is not of a replay" in skipped.reason


def test_costs_are_read_as_they_were_written(tmp_path: Path) -> None:
    cost = ModelCost(parameters=3, macs=4, input=(360, 480), latency_ms={"openvino, cpu, fp32": 1.5})
    write_model_cost(tmp_path, cost)
    assert json.loads((tmp_path / "model.json").read_text())["input"] == [360, 480]
    assert read_model_cost(tmp_path) == cost
