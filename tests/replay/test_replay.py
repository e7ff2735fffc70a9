"""Replay through the real node, in its own process, over DDS."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from distill_perception.replay.bag_writer import BagOptions, write_bag
from distill_perception.replay.labelled_folder import LabelledFrame, read_labelled_folder
from distill_perception.replay.node_process import free_domain_id
from tests.replay import drives
from tests.replay.conftest import ROOT, Replayed, command
from tests.replay.references import reference_map, reference_miou
from tests.support.tiny_bundle import write_tiny_bundle

pytestmark = [pytest.mark.ros]
pytest.importorskip("rclpy", reason="the real node needs rclpy")

Replay = Callable[..., Replayed]
STAGES = {"queue", "preprocess", "inference", "postprocess", "publish", "total", "end_to_end"}


@pytest.mark.parametrize("pace", [("--as-fast-as-possible",), ("--rate", "0.5"), ("--in-process",)])
def test_the_scores_equal_an_independent_computation(pace: tuple[str, ...], replayed: Replay) -> None:
    result = replayed(*pace)

    assert result.finished.code == 0, result.finished.err
    metrics = result.metrics
    miou, iou = reference_miou(range(drives.FRAMES))
    assert metrics["miou"] == pytest.approx(miou, abs=1e-6)
    assert metrics["iou"] == pytest.approx(iou, abs=1e-6)
    assert (metrics["map"], metrics["map50"]) == pytest.approx(reference_map(range(drives.FRAMES)), abs=1e-6)


def test_as_fast_as_possible_drops_nothing_and_times_every_stage(replayed: Replay) -> None:
    metrics = replayed("--as-fast-as-possible").metrics

    assert (metrics["frames"], metrics["dropped"], metrics["complete"]) == (drives.FRAMES, 0, True)
    assert {stage for stage, values in metrics["latency_ms"].items() if values} == STAGES
    for values in metrics["latency_ms"].values():
        assert 0 < values["p50"] <= values["p95"] <= values["p99"]
    assert metrics["latency_ms"]["total"]["p50"] < metrics["latency_ms"]["end_to_end"]["p50"]


def test_the_nodes_own_counters_are_reported(replayed: Replay) -> None:
    counters = replayed("--as-fast-as-possible").metrics["node_counters"]["/camera/front/image_raw"]

    assert counters["received"] == counters["processed"] == drives.FRAMES


def test_metrics_say_what_was_measured(replayed: Replay, tiny: Path, labelled_bag: Path) -> None:
    metrics = replayed("--rate", "0.5").metrics

    assert (metrics["bundle"], metrics["bundle_version"], metrics["rate"]) == ("tiny", "0.0.1", 0.5)
    assert metrics["bag"] == str(labelled_bag)
    assert re.fullmatch("[0-9a-f]{64}", metrics["bundle_sha256"])
    assert metrics["engine"]
    assert metrics["version"]
    assert metrics["duration_s"] == pytest.approx((drives.FRAMES - 1) / 20 / 0.5, abs=0.3)


def test_the_summary_names_the_results_folder(replayed: Replay) -> None:
    result = replayed("--as-fast-as-possible")

    for name in ("metrics.json", "report.html", "overlay.mp4"):
        assert str(result.out / name) in result.finished.out.replace("\n", "")
        assert (result.out / name).stat().st_size > 0


def test_the_overlay_video_has_every_frame(replayed: Replay) -> None:
    capture = cv2.VideoCapture(str(replayed("--as-fast-as-possible").out / "overlay.mp4"))
    count, size = 0, None
    while True:
        success, picture = capture.read()
        if not success:
            break
        count, size = count + 1, picture.shape
    capture.release()

    assert (count, size) == (drives.FRAMES, (drives.HEIGHT, drives.WIDTH, 3))


class Page(HTMLParser):
    """Collects what a page refers to, and its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_report_shows_everything_and_refers_to_nothing_outside(replayed: Replay) -> None:
    text = (replayed("--as-fast-as-possible").out / "report.html").read_text()
    page = Page(text)

    pictures = [reference for reference in page.references if reference.startswith("data:image/jpeg;base64,")]
    assert (
        len(pictures) == len(page.references) == 3 * drives.FRAMES
    )  # image, label, prediction of 3 best, 3 worst
    assert "url(" not in text
    assert "@import" not in text
    words = " ".join(page.words)
    for expected in (
        "IoU by class",
        "Confusion matrix",
        "Latency by stage",
        "Best frames",
        "Worst frames",
        "0.907",
    ):
        assert expected in words


def test_a_bag_without_labels_gives_the_report_without_accuracy(
    unlabelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    done = command("replay", unlabelled_bag, "-b", tiny, "-o", tmp_path / "out", "--as-fast-as-possible")

    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["answered"], metrics["miou"], metrics["map50"]) == (drives.FRAMES, None, None)
    words = " ".join(Page((tmp_path / "out" / "report.html").read_text()).words)
    assert "no labels in this bag" in words
    assert "Latency by stage" in words
    assert "Frames of the drive" in words
    assert "Confusion matrix" not in words


def test_an_overloaded_node_drops_and_the_drops_equal_its_own_count(tmp_path: Path) -> None:
    slow = write_tiny_bundle(tmp_path / "slow", height=480, width=640, name="slow", work=6)
    folder = read_labelled_folder(drives.write_folder(tmp_path / "drive", frames=40, names=False))
    write_bag(tmp_path / "bag", folder.frames(), BagOptions(rate_hz=200))

    done = command("replay", tmp_path / "bag", "-b", slow, "-o", tmp_path / "out", "--no-video")

    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    counters = metrics["node_counters"]["/camera/front/image_raw"]
    assert metrics["dropped"] > 0
    assert metrics["frames"] == 40 == metrics["answered"] + metrics["dropped"]
    assert (counters["received"], metrics["lost_on_the_way"]) == (40, 0)
    assert metrics["dropped"] == counters["dropped_overwritten"] + counters["dropped_stale"]


def test_large_frames_are_not_lost_on_the_way(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.zeros((720, 1280, 3), np.uint8)
    frames = [LabelledFrame(str(index), large + np.uint8(index), None, None) for index in range(30)]
    write_bag(tmp_path / "bag", frames, BagOptions(rate_hz=30))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # would undo the transport's set-up

    done = command("replay", tmp_path / "bag", "-b", tiny, "-o", tmp_path / "out", "--no-video")

    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["frames"], metrics["lost_on_the_way"]) == (30, 0)


def test_every_camera_of_a_bag_is_played(tiny: Path, tmp_path: Path) -> None:
    from tests.replay.test_bags import bag_of, image

    messages = []
    for index in range(4):
        stamp = 10**9 + index * 50_000_000
        for camera, shown in (("left", index), ("right", index + 1)):
            messages.append((f"/{camera}/image_raw", stamp, image(stamp, drives.picture(shown), "bgr8")))
            messages.append((f"/{camera}/label", stamp, image(stamp, drives.label(shown), "mono8")))
    bag_of(tmp_path / "bag", messages)

    done = command("replay", tmp_path / "bag", "-b", tiny, "-o", tmp_path / "out", "--as-fast-as-possible")

    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["frames"], metrics["dropped"], metrics["map50"]) == (8, 0, None)
    assert metrics["topics"] == ["/left/image_raw", "/right/image_raw"]
    assert metrics["miou"] == pytest.approx(reference_miou([0, 1, 1, 2, 2, 3, 3, 4])[0], abs=1e-6)


def test_a_node_that_cannot_start_ends_the_replay_with_its_log(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    done = command("replay", labelled_bag, "-b", tiny, "-o", tmp_path, "--precision", "int8")

    assert done.code == 2
    assert "the perception node ended" in done.err
    assert "has no precision 'int8'" in done.err
    assert "Traceback" not in done.err


def start(*words: object, domain_id: int | None = None) -> "subprocess.Popen[str]":
    """A command that goes on while the test looks at it."""
    environ = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if domain_id is not None:
        environ["ROS_DOMAIN_ID"] = str(domain_id)
    line = [sys.executable, "-m", "distill_perception.cli", *map(str, words)]
    return subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)


def long_bag(path: Path) -> Path:
    """A bag that plays for a minute."""
    folder = read_labelled_folder(drives.write_folder(path / "drive", frames=30))
    write_bag(path / "bag", folder.frames(), BagOptions(rate_hz=0.5), folder.class_names)
    return path / "bag"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_early_keeps_what_was_answered_and_ends_the_node(
    number: signal.Signals, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out, "--rate", "5")
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    (node,) = children(replay.pid)
    time.sleep(2.5)  # some frames at 2.5 Hz
    replay.send_signal(number)
    _, err = replay.communicate(timeout=30)

    assert replay.returncode == 130, err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["complete"] is False
    assert 0 < metrics["answered"] <= metrics["frames"] < 30
    assert "incomplete" in (out / "report.html").read_text()
    assert not Path(f"/proc/{node}").exists()


def test_a_node_that_dies_ends_the_replay_with_its_log(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out)
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    os.kill(children(replay.pid)[0], signal.SIGKILL)
    _, err = replay.communicate(timeout=30)

    assert replay.returncode == 2
    assert "the perception node ended (exit status -9)" in err
    assert "active: /camera/front/image_raw" in err


def test_run_watch_and_attach_work_on_one_node(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    domain_id = free_domain_id()
    node = start("run", "-b", tiny, "-c", "/camera/front/image_raw", domain_id=domain_id)
    try:
        watch = start("watch", "--once", domain_id=domain_id)
        watched, _ = watch.communicate(timeout=30)
        replay = start(
            "replay",
            labelled_bag,
            "-b",
            tiny,
            "-o",
            tmp_path,
            "--attach",
            "--as-fast-as-possible",
            domain_id=domain_id,
        )
        _, err = replay.communicate(timeout=60)
    finally:
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=20)

    assert watch.returncode == 0
    assert "tiny 0.0.1" in watched
    assert "/camera/front/image_raw" in watched
    assert replay.returncode == 0, err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["dropped"], metrics["miou"]) == (0, pytest.approx(reference_miou(range(6))[0], abs=1e-6))
    assert node.returncode == 0


def test_attaching_to_no_node_says_so(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    done = command(
        "replay", labelled_bag, "-b", tiny, "-o", tmp_path, "--attach", "--start-timeout", 2,
        "--domain-id", free_domain_id(),
    )  # fmt: skip

    assert done.code == 2
    assert "was not ready after 2 s: it does not subscribe to /camera/front/image_raw" in done.err


def test_a_copied_bag_under_an_odd_name_is_shown_as_text(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "a <b> & 'c'"
    shutil.copytree(labelled_bag, odd)

    done = command("replay", odd, "-b", tiny, "-o", tmp_path / "out", "--in-process", "--no-video")

    assert done.code == 0, done.err
    assert "Replay of a <b> & 'c'" in Page((tmp_path / "out" / "report.html").read_text()).words
    assert not (tmp_path / "out" / "overlay.mp4").exists()
