"""The results folder of a replay."""

import itertools
import json
import math
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.writer import write_bag
from distill_perception.cli import app
from distill_perception.errors import BagError, ReplayError
from distill_perception.replay import run
from distill_perception.replay.in_process import perceive_bag
from distill_perception.replay.player import PlayOptions
from distill_perception.replay.recording import Recording
from distill_perception.replay.results_folder import write_metrics
from distill_perception.replay.run import ReplayOptions, replay
from distill_perception.replay.summary import print_outcome
from tests.support import drives
from tests.support.bags import bag_of, image
from tests.support.full_disk import full_disk


def test_a_failed_replay_leaves_no_results_of_an_earlier_one(
    labelled_bag: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", in_process=True)
    replay(options)
    (tmp_path / "out" / "notes.txt").write_text("mine")

    def fails(*arguments: object) -> None:
        raise ReplayError("the node died")

    monkeypatch.setattr(run, "perceive_bag", fails)
    with pytest.raises(ReplayError, match="the node died"):
        replay(options)

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_results_do_not_go_into_the_recording(labelled_bag: Path, tiny: Path) -> None:
    before = sorted(labelled_bag.iterdir())
    for out in (labelled_bag, labelled_bag / "results"):
        with pytest.raises(ReplayError, match="in the recording itself"):
            replay(ReplayOptions(labelled_bag, str(tiny), out, in_process=True))
    assert sorted(labelled_bag.iterdir()) == before


def test_results_that_cannot_be_removed_are_named(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "metrics.json").mkdir(parents=True)

    with pytest.raises(ReplayError, match=r"out/metrics\.json: cannot be made or emptied.*--out"):
        replay(ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", in_process=True))


def test_a_folder_that_cannot_be_written_to_is_told_before_the_bag_is_played(
    labelled_bag: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path("/proc/self/task")  # takes no files, root's neither
    monkeypatch.setattr(run, "perceive_bag", lambda *arguments: pytest.fail("the bag was played"))

    with pytest.raises(ReplayError, match=r"/proc/self/task.*cannot be made.*--out"):
        replay(ReplayOptions(labelled_bag, str(tiny), out, in_process=True))


def test_the_overlay_video_has_the_rate_of_the_camera_that_it_shows(tiny: Path, tmp_path: Path) -> None:
    """The first camera sends 20 Hz for half a second with a gap, the second 5 Hz for four seconds."""
    fast = [1_000_000_000 + 50_000_000 * index for index in (0, 1, 2, 3, 8, 9, 10)]
    slow = [1_000_000_000 + 200_000_000 * index for index in range(20)]
    stamps = itertools.chain((("/a/image_raw", s) for s in fast), (("/b/image_raw", s) for s in slow))
    messages = [(topic, stamp, image(stamp, drives.picture(0), "bgr8")) for topic, stamp in stamps]
    bag = bag_of(tmp_path / "bag", messages)

    outcome = replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))

    capture = cv2.VideoCapture(str(outcome.video))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0, abs=0.1)
    capture.release()


def test_a_second_replay_into_the_same_folder_is_refused_and_spoils_nothing(
    labelled_bag: Path, unlabelled_bag: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    second = ReplayOptions(unlabelled_bag, str(tiny), out, in_process=True)
    refusals = []

    def perceive_beside_another(*arguments: Any) -> Recording:
        with pytest.raises(ReplayError) as refused:
            replay(second)
        refusals.append(str(refused.value))
        return perceive_bag(*arguments)

    monkeypatch.setattr(run, "perceive_bag", perceive_beside_another)
    replay(ReplayOptions(labelled_bag, str(tiny), out, in_process=True))

    assert refusals == [
        f"{out}: another replay writes there (pid {os.getpid()}); give another folder with --out"
    ]
    assert json.loads((out / "metrics.json").read_text())["bag"] == str(labelled_bag)
    assert sorted(file.name for file in out.iterdir()) == ["metrics.json", "overlay.mp4", "report.html"]


def interrupted(*arguments: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("place", "words", "left"),
    [
        ("perceive_bag", "playing: OUT has no results; missing: metrics.json, report.html, overlay.mp4", []),
        (
            "_shown",
            "scoring, so there are no scores: OUT has metrics.json; missing: report.html, overlay.mp4",
            ["metrics.json"],
        ),
        (
            "write_report",
            "writing the report: OUT has metrics.json, overlay.mp4; missing: report.html",
            ["metrics.json", "overlay.mp4"],
        ),
    ],
)
def test_ctrl_c_says_in_one_line_which_results_there_are(
    place: str,
    words: str,
    left: list[str],
    labelled_bag: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first may only have ended the playing: then the second comes while scoring."""
    monkeypatch.setattr(run, place, interrupted)
    line = ["replay", str(labelled_bag), "-b", str(tiny), "-o", str(tmp_path), "--in-process"]

    done = CliRunner(env={"NO_COLOR": "1"}).invoke(app, line, prog_name="distill-perception")

    assert done.exit_code == 130
    told = [line for line in done.stderr.strip().splitlines() if "━" not in line]  # but progress
    assert told == [f"warning: stopped while {words.replace('OUT', str(tmp_path))}"]
    assert sorted(file.name for file in tmp_path.iterdir()) == left


def test_labels_that_cannot_be_scored_leave_latency_and_drops(tiny: Path, tmp_path: Path) -> None:
    label = drives.label(1)
    label[20, 20] = 7
    frames = [LabelledFrame("good", drives.picture(0), drives.label(0), None)]
    frames += [LabelledFrame("bad", drives.picture(1), label, None)]
    write_bag(tmp_path / "bag", frames)

    words = r"the label has class id 7.*out/metrics\.json has latency and drops, without scores"
    with pytest.raises(ReplayError, match=words):
        replay(ReplayOptions(tmp_path / "bag", str(tiny), tmp_path / "out", in_process=True))

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["metrics.json"]
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["answered"], metrics["dropped"], metrics["bundle"]) == (2, 0, "tiny")
    assert metrics["latency_ms"]["end_to_end"]["p50"] > 0
    assert (metrics["miou"], metrics["labelled"]) == (None, None)
    assert "label has class id 7" in metrics["unscored"]


def test_two_images_of_one_stamp_are_refused_before_the_bag_is_played(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = [*range(1, 150), 149]
    bag = bag_of(
        tmp_path / "bag", [("/cam/image_raw", s, image(s, drives.picture(0), "bgr8")) for s in stamps]
    )
    monkeypatch.setattr(run, "perceive_bag", lambda *arguments: pytest.fail("the bag was played"))

    with pytest.raises(BagError, match=r"two images on /cam/image_raw have the stamp 0\.000000149 s"):
        replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rate", [math.inf, math.nan])
def test_a_rate_that_is_no_number_is_refused(
    rate: float, labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReplayError, match=rf"--rate {rate} is no pace; --as-fast-as-possible plays without"):
        replay(ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", play=PlayOptions(rate=rate)))


def bag_of_pictures(path: Path, pictures: list[np.ndarray], encoding: str = "bgr8") -> Path:
    stamps = range(10**9, 10**9 + len(pictures))
    return bag_of(
        path,
        [("/cam/image_raw", s, image(s, p, encoding)) for s, p in zip(stamps, pictures, strict=True)],
    )


def test_images_that_cannot_be_read_are_refused_with_the_reason_where_none_can(
    tiny: Path, tmp_path: Path
) -> None:
    bag = bag_of_pictures(tmp_path / "bag", 5 * [drives.label(0)])  # one byte a pixel under the name of three

    words = r"bag: 5 of 5 images could not be read, first /cam/image_raw at 1\.000 s: .*bgr8"
    with pytest.raises(ReplayError, match=words):
        replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))


def test_images_that_cannot_be_read_are_told_with_the_reason_of_the_first(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [drives.picture(0), drives.label(0), drives.picture(1), drives.label(0)]
    bag = bag_of_pictures(tmp_path / "bag", pictures)

    outcome = replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))

    assert (outcome.evaluation.answered, outcome.evaluation.dropped) == (2, 2)
    (told,) = capsys.readouterr().err.splitlines()
    assert re.search(r"2 of 4 images could not be read, first /cam/image_raw at 1\.000 s: .*bgr8", told)


def test_frames_that_no_video_can_hold_are_left_out_of_it_and_told_once(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thin, flat, tower = (np.zeros((*size, 3), np.uint8) for size in ((48, 1), (1, 64), (70_000, 4)))
    bag = bag_of_pictures(tmp_path / "bag", [thin, drives.picture(0), flat, tower, drives.picture(1)])

    outcome = replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))

    assert outcome.evaluation.answered == 5
    assert outcome.report.is_file()
    capture = cv2.VideoCapture(str(outcome.video))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    capture.release()
    assert capsys.readouterr().err.count("frames of 1x48 pixels, which no video can hold") == 1


def test_a_video_that_was_not_made_is_not_named(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = bag_of_pictures(tmp_path / "bag", 2 * [np.zeros((48, 1, 3), np.uint8)])

    outcome = replay(ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True))
    print_outcome(outcome)

    assert outcome.video is None
    assert "overlay.mp4" not in capsys.readouterr().out


def test_results_for_which_there_is_no_room_are_named_and_no_half_of_them_is_left(
    labelled_bag: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", in_process=True)

    words = r"out/report\.html: cannot be written: File too large; make room, or give another folder"
    with full_disk(4_000), pytest.raises(ReplayError, match=words):
        replay(options)

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["metrics.json"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["miou"] > 0
    assert "out/overlay.mp4: left out, OpenCV could not write it" in capsys.readouterr().err


def test_metrics_are_json_whatever_is_in_them(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", {"rate": math.inf, "latency_ms": {"p50": math.nan, "p95": 1.5}})

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "rate": None,
        "latency_ms": {"p50": None, "p95": 1.5},
    }
