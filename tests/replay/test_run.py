"""The results folder of a replay."""

import itertools
from pathlib import Path

import cv2
import pytest

from distill_perception.errors import ReplayError
from distill_perception.replay import run
from distill_perception.replay.run import ReplayOptions, replay
from tests.support import drives
from tests.support.bags import bag_of, image


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
