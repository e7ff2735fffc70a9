"""The words and numbers of the report."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np

from distill_perception.bundle import load_bundle
from distill_perception.replay.evaluation import CameraScores, Evaluation
from distill_perception.replay.report.page import page
from distill_perception.replay.run_info import RunInfo
from tests.support.tiny_bundle import write_tiny_bundle

INFO = RunInfo(
    "runs/drive/", ("/cam",), "tiny", "1", "0" * 64, "none", "fp32", "own node", 1.0, "1", None, "", ""
)


TIMES = {"p50": 20.0, "p95": 30.0, "p99": 40.0}


MEASURED = Evaluation(
    frames=10,
    answered=8,
    score_threshold=0.01,
    latency_ms={
        "inference": {"p50": 7.0, "p95": 8.0, "p99": 8.5},
        "publish": {"p50": 1.0, "p95": 1.0, "p99": 1.0},
        "total": {"p50": 10.0, "p95": 11.0, "p99": 12.0},
        "end_to_end": TIMES,
    },
    samples_ms={
        "inference": np.array([6.0, 9.0]),
        "publish": np.array([1.0, 1.0]),
        "total": np.array([10.0, 12.0]),
        "end_to_end": np.array([20.0, 41.5]),
    },
    counters={},
    complete=True,
    duration_s=4.0,
    miou=0.0,
    iou={"red": 0.0},
    map50=0.6,
    map=0.4,
    ap={"green": 0.4},
    labelled_masks=5,
    labelled_boxes=5,
)


def told(evaluation: Evaluation, folder: Path, tasks: Sequence[str] = ("segmentation", "detection")) -> str:
    """The words of a report."""
    manifest = load_bundle(write_tiny_bundle(folder, tasks)).manifest
    return " ".join(unescape(re.sub("<[^>]+>", " ", page(manifest, evaluation, INFO, []))).split())


def test_the_verdict_has_the_numbers_in_their_places(tmp_path: Path) -> None:
    words = told(MEASURED, tmp_path / "b")

    assert "Replay of drive 2 frames dropped" in words
    assert "Mean IoU 0.000 1 classes" in words
    assert "mAP50 0.600 mAP 50:95 0.400" in words
    assert "End to end, p95 30.0 ms median 20.0 ms, p99 40.0 ms" in words
    assert "Dropped frames 2 of 10 sent (20.0%)" in words
    assert "Answered 2.0 frames/s 4.0 s of replay" in words


def test_the_average_precision_chart_is_of_things_and_has_their_mean(tmp_path: Path) -> None:
    chart = told(MEASURED, tmp_path / "b").partition("AP by class")[2].partition("Latency by stage")[0]

    assert "mean 0.400" in chart
    assert "as a bundle's own figure" in chart
    assert "blue does not occur" in chart
    assert "red" not in chart.split()  # stuff has no boxes


def test_the_latency_table_ends_with_the_slowest_and_transport_is_what_the_node_did_not_take(
    tmp_path: Path,
) -> None:
    words = told(MEASURED, tmp_path / "b").partition("Latency by stage")[2]

    assert "20.00 30.00 40.00 41.50" in words
    assert "transport: 19.75 ms of 28.25 ms" in words  # 30.75 - 11, of 7.5 + 1 + 19.75


def test_only_a_bundle_with_boxes_is_told_to_publish_faint_ones(tmp_path: Path) -> None:
    note = "replay with -p score_threshold:=0.3"
    assert note in told(MEASURED, tmp_path / "both")
    assert note not in told(MEASURED, tmp_path / "masks", ("segmentation",))


def test_what_ended_early_is_not_called_complete(tmp_path: Path) -> None:
    whole = replace(MEASURED, answered=10)
    assert "complete, nothing dropped" in told(whole, tmp_path / "b")
    words = told(replace(whole, complete=False), tmp_path / "b")
    assert "incomplete: ended before the bag did" in words
    assert "complete, nothing dropped" not in words


def test_each_camera_has_a_row_of_its_own(tmp_path: Path) -> None:
    cameras = {
        "/left<1>": CameraScores(6, 5, 0.25, None, {"p50": 1.0, "p95": 2.0, "p99": 3.0}),
        "/right": CameraScores(4, 0, None, None, None),
    }
    words = told(replace(MEASURED, cameras=cameras), tmp_path / "b")
    assert "/left<1> 6 1 0.250 \u2013 1.0 2.0 3.0 /right 4 4 \u2013 \u2013 \u2013 \u2013 \u2013" in words
