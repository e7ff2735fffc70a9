"""The worker's thread, with stand-ins around it."""

import time

import numpy as np
from std_msgs.msg import Header

from distill_perception.latest import LatestSlots
from distill_perception.perceptor import Frame, Perception, Timings
from distill_perception.ros.diagnostics import CameraStats
from distill_perception.ros.worker import Arrival, Camera, Worker
from tests.support.ros_process import wait_until


class PerceptorThatSeesNothing:
    def perceive(self, frames: list[Frame], want_confidence: bool) -> list[Perception]:
        return [Perception(None, None, (), Timings(0.0, 0.0, 0.0)) for _ in frames]


class ResultsWithoutTiming:
    def wants_confidence(self) -> bool:
        return False

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        pass

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        raise RuntimeError("no timing today")


def test_a_failure_of_the_last_thing_published_is_counted_and_the_thread_lives_on() -> None:
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, stats, said = slots.add("/cam"), CameraStats(0.0), []
    camera = Camera(ResultsWithoutTiming(), stats)
    worker = Worker(slots, {"/cam": camera}, PerceptorThatSeesNothing(), lambda: 0.0, lambda: 0, said.append)
    try:
        for count in (1, 2):
            slot.put(Arrival(Header(), Frame(np.zeros((4, 4, 3), np.uint8), "rgb8"), time.perf_counter()))
            wait_until(lambda count=count: stats.tally(slot.counts).failed == count, 5.0, f"{count} counted")
    finally:
        worker.stop()
    assert len(said) == 2
    assert all("no timing today" in text for text in said)
