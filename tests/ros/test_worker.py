"""The worker's threads, with stand-ins around them."""

import threading
import time

import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from distill_perception.latest import LatestSlots
from distill_perception.perceptor import Frame, Perception, Timings
from distill_perception.ros.diagnostics import CameraStats
from distill_perception.ros.worker import Arrival, Camera, Worker
from tests.support.ros_process import wait_until


class PerceptorThatSeesNothing:
    def __init__(self) -> None:
        self.calls = 0

    def perceive(self, frames: list[Frame], want_confidence: bool) -> list[Perception]:
        self.calls += 1
        return [Perception(None, None, (), Timings(0.0, 0.0, 0.0)) for _ in frames]


class SlowPerceptor:
    """Takes 60 ms and says how they passed."""

    def perceive(self, frames: list[Frame], want_confidence: bool) -> list[Perception]:
        begin = time.perf_counter()
        time.sleep(0.06)
        spent_ms = (time.perf_counter() - begin) * 1e3
        return [Perception(None, None, (), Timings(10.0, spent_ms - 15.0, 5.0)) for _ in frames]


class TimedResults:
    """Publishes within 30 ms and keeps how long each stage took."""

    def __init__(self) -> None:
        self.stages_ms: dict[str, float] = {}

    def wants_confidence(self) -> bool:
        return False

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        time.sleep(0.03)

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        self.stages_ms = stages_ms


class ResultsWithoutTiming:
    def wants_confidence(self) -> bool:
        return False

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        pass

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        raise RuntimeError("no timing today")


class SlowResults:
    """Publishes when it is let."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.published: list[str] = []

    def wants_confidence(self) -> bool:
        return False

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        self.go.acquire()
        self.published.append(header.frame_id)

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        pass


def arrival(name: str = "") -> Arrival:
    return Arrival(Header(frame_id=name), Frame(np.zeros((4, 4, 3), np.uint8), "rgb8"), time.perf_counter())


def test_the_next_frame_is_seen_while_results_are_published_and_later_ones_wait_to_be_overwritten() -> None:
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, stats, results = slots.add("/cam"), CameraStats(0.0), SlowResults()
    perceptor, said = PerceptorThatSeesNothing(), []
    worker = Worker(slots, {"/cam": Camera(results, stats)}, perceptor, lambda: 0.0, lambda: 0, said.append)
    try:
        slot.put(arrival("first"))
        wait_until(lambda: perceptor.calls == 1, 5.0, "first seen")
        slot.put(arrival("second"))
        wait_until(lambda: perceptor.calls == 2, 5.0, "second seen while the first is published")
        slot.put(arrival("third"))
        slot.put(arrival("fourth"))
        time.sleep(0.2)
        assert perceptor.calls == 2, "nothing is seen ahead of what can be published"
        assert results.published == []
    finally:
        results.go.release(10)
        wait_until(lambda: len(results.published) == 3, 5.0, "the rest published")
        worker.stop()
    assert results.published == ["first", "second", "fourth"]
    assert slot.counts().dropped_overwritten == 1
    assert stats.tally(slot.counts).processed == 3
    assert not said


def test_the_stages_of_a_frame_are_all_of_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 ms in the queue, 40 of decoding, then as the stand-ins take; nothing left out or counted twice."""

    def decode(message: CompressedImage) -> Frame:
        time.sleep(0.04)
        return Frame(np.zeros((4, 4, 3), np.uint8), "rgb8")

    monkeypatch.setattr("distill_perception.ros.worker.frame_from_compressed", decode)
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, results = slots.add("/cam"), TimedResults()
    camera = Camera(results, CameraStats(0.0))
    worker = Worker(slots, {"/cam": camera}, SlowPerceptor(), lambda: 0.0, lambda: 0, print)
    slot.put(Arrival(Header(), CompressedImage(), time.perf_counter() - 0.1))
    wait_until(lambda: results.stages_ms, 5.0, "its timing")
    worker.stop()

    stages = dict(results.stages_ms)
    total = stages.pop("total")
    least = {"queue": 100, "preprocess": 50, "inference": 45, "postprocess": 5, "publish": 30}
    assert stages.keys() == least.keys()
    assert all(stages[name] >= least[name] - 0.1 for name in least), stages
    assert total == pytest.approx(sum(stages.values()), abs=10)


def test_stopping_publishes_what_was_seen() -> None:
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, results, perceptor = slots.add("/cam"), SlowResults(), PerceptorThatSeesNothing()
    camera = Camera(results, CameraStats(0.0))
    worker = Worker(slots, {"/cam": camera}, perceptor, lambda: 0.0, lambda: 0, print)
    slot.put(arrival("last"))
    wait_until(lambda: perceptor.calls == 1, 5.0, "seen")
    threading.Timer(0.2, results.go.release).start()
    worker.stop()
    assert results.published == ["last"]


def test_a_picture_that_memory_cannot_hold_is_counted_and_the_next_one_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, stats, perceptor, said = slots.add("/cam"), CameraStats(0.0), PerceptorThatSeesNothing(), []
    results = SlowResults()
    results.go.release()

    def decode(message: CompressedImage) -> Frame:
        raise MemoryError

    monkeypatch.setattr("distill_perception.ros.worker.frame_from_compressed", decode)
    worker = Worker(slots, {"/cam": Camera(results, stats)}, perceptor, lambda: 0.0, lambda: 0, said.append)
    try:
        slot.put(Arrival(Header(), CompressedImage(), time.perf_counter()))
        wait_until(lambda: stats.tally(slot.counts).failed == 1, 5.0, "counted")
        slot.put(arrival("next"))
        wait_until(lambda: results.published == ["next"], 5.0, "the next one published")
    finally:
        worker.stop()
    assert said == ["/cam: decoding: MemoryError"]


def test_a_failure_of_the_last_thing_published_is_counted_and_the_thread_lives_on() -> None:
    slots: LatestSlots[Arrival] = LatestSlots()
    slot, stats, said = slots.add("/cam"), CameraStats(0.0), []
    camera = Camera(ResultsWithoutTiming(), stats)
    worker = Worker(slots, {"/cam": camera}, PerceptorThatSeesNothing(), lambda: 0.0, lambda: 0, said.append)
    try:
        for count in (1, 2):
            slot.put(arrival())
            wait_until(lambda count=count: stats.tally(slot.counts).failed == count, 5.0, f"{count} counted")
    finally:
        worker.stop()
    assert len(said) == 2
    assert all("no timing today" in text for text in said)
