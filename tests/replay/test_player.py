"""Waiting for a node, with a stand-in for the link to it."""

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import BagFrame, open_bag
from distill_perception.errors import ImageError, ReplayError
from distill_perception.replay.ledger import Ledger
from distill_perception.replay.player import PlayOptions, _play_in_lockstep, wait_until_ready
from tests.support.bags import bag_of, image


class Link:
    """To a node that says how far it is every 0.2 s, and is ready after `ready_s`."""

    def __init__(self, ready_s: float) -> None:
        self.begin, self.ready_s, self.settled = time.monotonic(), ready_s, False

    @property
    def said(self) -> str:
        percent = min(time.monotonic() - self.begin, 1.0) // 0.2 * 20
        return f"building engine: {percent:.0f} %"

    def not_ready(self) -> str:
        return "" if time.monotonic() - self.begin > self.ready_s else "it is not active"

    def publishers_of_results(self) -> dict[str, list[str]]:
        return {"/front/perception/mask": ["perception"]}

    def spin(self, seconds: float) -> None:
        time.sleep(seconds)

    def settle(self, seconds: float) -> None:
        self.settled = True


def test_a_node_that_still_says_how_far_it_is_is_waited_for() -> None:
    link = Link(ready_s=1.2)
    wait_until_ready(link, None, PlayOptions(start_timeout_s=0.5))
    assert link.settled


def test_a_node_that_says_nothing_new_is_given_up() -> None:
    with pytest.raises(ReplayError, match=r"not ready after 0.5 s \(--start-timeout\): it is not active"):
        wait_until_ready(Link(ready_s=60.0), None, PlayOptions(start_timeout_s=0.5))


def test_a_silent_node_is_to_be_looked_at_by_its_own_name() -> None:
    options = PlayOptions(start_timeout_s=0.1, attach=True, node_name="/car/perception")
    with pytest.raises(ReplayError, match="ros2 lifecycle get /car/perception"):
        wait_until_ready(Link(ready_s=60.0), None, options)


class AnsweringLink:
    """To a node that answers every frame but malformed ones, until it is stuck after so many `answers`."""

    def __init__(self, masks: MaskSpool, answers: int = 1000) -> None:
        self.answers = answers
        self.ledger = Ledger(("detection",), masks)
        self.due: list[BagFrame] = []

    def message(self, frame: BagFrame) -> None:
        pass

    def publish(self, frame: BagFrame, message: None) -> None:
        self.ledger.note_sent(frame, frame.stamp_ns)
        self.due.append(frame)

    def spin(self, seconds: float) -> None:
        for frame in self.due:
            if self.ledger.answered == self.answers:
                break
            try:
                frame.image.native()
            except ImageError:
                continue
            stamp = SimpleNamespace(sec=0, nanosec=frame.stamp_ns)
            answer = SimpleNamespace(header=SimpleNamespace(stamp=stamp), detections=[])
            self.ledger.on_detections(frame.topic, answer)
        self.due = []

    def spin_for_timing(self) -> None:
        pass


@pytest.mark.parametrize(
    ("cameras", "malformed"), [(["left"], {1}), (["left"], {2, 3, 4, 5}), (["left", "right"], {1, 2, 3, 4})]
)
def test_malformed_frames_are_dropped_in_lockstep_and_not_waited_for(
    cameras: list[str], malformed: set[int], tmp_path: Path
) -> None:
    good, bad = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 2), np.uint8)
    messages = []
    for stamp in range(1, 7):
        for camera in cameras:
            pixels = bad if stamp in malformed and camera == "left" else good
            messages.append((f"/{camera}/image_raw", stamp, image(stamp, pixels, "bgr8")))
    options = PlayOptions(lockstep=True, answer_timeout_s=0.2)

    with MaskSpool() as masks:
        link = AnsweringLink(masks)
        _play_in_lockstep(
            open_bag(bag_of(tmp_path / "bag", messages)), link, None, options, lambda sent, answered: None
        )

    dropped = {result.key for result in link.ledger.results(0.0) if not result.answered}
    assert dropped == {("/left/image_raw", stamp) for stamp in malformed}
    assert link.ledger.sent == 6 * len(cameras)


def test_malformed_frames_do_not_hide_that_a_node_is_stuck(tmp_path: Path) -> None:
    good, bad = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 2), np.uint8)
    messages = [
        ("/left/image_raw", stamp, image(stamp, bad if stamp % 2 else good, "bgr8")) for stamp in range(2, 14)
    ]
    options = PlayOptions(lockstep=True, answer_timeout_s=0.4)

    with MaskSpool() as masks:
        link = AnsweringLink(masks, answers=1)
        bag = open_bag(bag_of(tmp_path / "bag", messages))
        with pytest.raises(ReplayError, match=r"did not answer 3 times within 0\.4 s"):
            _play_in_lockstep(bag, link, None, options, lambda sent, answered: None)
