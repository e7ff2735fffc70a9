"""What the node knows about each camera's stream, and what it makes of it for /diagnostics."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from ..latest import SlotCounts
from .transport import remedy

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

# Stages of one frame's way, in its order; "total" is from the callback to the last published result.
STAGES = ("queue", "preprocess", "inference", "postprocess", "publish", "total")
PERCENTILES = (50, 95, 99)
SILENCE_S = 3.0
STALL_S = 3.0  # no model worth running live takes as long for a frame
AHEAD_MS = 1000.0  # of the clock; less may be how far two machines' clocks are apart
REMIND_PERIOD_S = 30.0
WELL_AFTER_S = 10.0
_WINDOW = 512  # frames over which latency percentiles are taken


@dataclass(frozen=True)
class Tally:
    """A camera's counters. ``received`` is the sum of all the others."""

    received: int = 0
    processed: int = 0
    dropped_overwritten: int = 0
    dropped_stale: int = 0
    malformed: int = 0
    failed: int = 0
    waiting: int = 0

    def since(self, earlier: Tally) -> Tally:
        """What was counted after ``earlier``."""
        return Tally(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    def as_text(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name in self.__dataclass_fields__)


@dataclass(frozen=True)
class Health:
    """What is known about a camera's stream when diagnostics are due.

    Attributes:
        tally: counters since activation.
        recent: counters since the last diagnostics.
        silent_s: seconds since the last frame arrived (since activation when none has).
        publishers: how many publishers the topic has, matched or not.
        lost: frames that the middleware has lost since the last diagnostics; they were never received.
        stalled_s: for how many seconds frames have arrived and none was finished.
        other_type: the type the topic is published as when it is not the one subscribed to, else empty.
        qos_problem: the policy that a publisher offers incompatibly, else empty.
        max_age_ms: the limit that frames were judged by.
        age_ms: age of the newest frame when it arrived, by its stamp and this node's clock.
        reason: why the last malformed or failed frame was not processed.
        others: how many other nodes publish results of this camera, on the same topics.
    """

    tally: Tally
    recent: Tally
    silent_s: float
    publishers: int
    lost: int = 0
    stalled_s: float = 0.0
    other_type: str = ""
    qos_problem: str = ""
    max_age_ms: float = 0.0
    age_ms: float = 0.0
    reason: str = ""
    others: int = 0


def judge(topic: str, health: Health) -> tuple[bytes, str]:
    """Say how a camera's stream is doing, with the remedy when it is not well.

    Returns:
        diagnostic level and message.
    """
    recent = health.recent
    if recent.failed:
        return ERROR, f"frames fail: {health.reason}"
    if health.lost:
        return WARN, f"{health.lost} frames were lost on their way: {remedy()}"
    if health.silent_s >= SILENCE_S:
        return WARN, f"no frame for {health.silent_s:.0f} s: {_why_silent(topic, health)}"
    if recent.dropped_stale and not recent.processed:
        ago = (
            f"{health.age_ms:.0f} ms ago"
            if health.age_ms >= 0
            else f"{-health.age_ms / 1e3:.1f} s ahead of this node's clock, which jumped"
        )
        return WARN, (
            f"every frame is too old (the newest was stamped {ago}; max_age_ms is "
            f"{health.max_age_ms:.0f}): synchronize the clocks; for a recording set use_sim_time:=true and "
            "play it with `ros2 bag play --clock`; or raise max_age_ms (0 accepts every age)"
        )
    if recent.received and health.stalled_s >= STALL_S:
        return ERROR, (
            f"frames arrive but none has been finished for {health.stalled_s:.0f} s: the engine hangs "
            "or is far too slow; restart the node, or choose another engine or device"
        )
    if recent.received and health.age_ms < -AHEAD_MS:
        return WARN, (
            f"stamps lie {-health.age_ms / 1e3:.0f} s ahead of this node's clock, so that max_age_ms drops "
            "nothing: synchronize the clocks; with use_sim_time:=true somebody must publish /clock"
        )
    if recent.malformed:
        return WARN, f"{recent.malformed} malformed frames: {health.reason}"
    if health.others:
        return WARN, (
            f"{health.others} other node(s) publish results of this camera, too, and listeners get both: "
            "stop one of them"
        )
    return OK, "receiving" if health.tally.received else "waiting for the first frame"


def _why_silent(topic: str, health: Health) -> str:
    if not health.publishers:
        return (
            f"nobody publishes {topic}; compare with `ros2 topic list`, check the topic's name, "
            "remappings and ROS_DOMAIN_ID; processes with FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA and "
            "without do not find each other"
        )
    if health.other_type:
        return (
            f"{topic} is published as {health.other_type}; taken are sensor_msgs/msg/Image, and "
            "sensor_msgs/msg/CompressedImage on topics that end in /compressed"
        )
    if health.qos_problem:
        return (
            f"the publisher's QoS does not fit ({health.qos_problem}); set qos_reliability:=best_effort, "
            "which receives from any publisher"
        )
    if health.tally.received:
        return (
            f"{health.publishers} publisher(s), but no more frames come: look at the camera and its driver "
            "(a paused recording, a camera that is slower than this?)"
        )
    return (
        f"{health.publishers} publisher(s) but nothing has arrived: look whether the camera sends anything "
        f"yet (`ros2 topic hz {topic}`); if it does, {remedy()}"
    )


class Reminder:
    """What to log of a camera that is judged every second: trouble when it begins, and every half minute.

    Trouble that comes and goes is one trouble: it is over after ten good seconds.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._said_s = self._seen_s = 0.0

    def say(self, trouble: str, now_s: float) -> str:
        """The line to log, if any; `trouble` is empty while all is well."""
        if not trouble:
            if self._kind and now_s - self._seen_s >= WELL_AFTER_S:
                self._kind = ""
                return "well again"
            return ""
        kind = _without_numbers(trouble)
        self._seen_s = now_s
        if kind == self._kind and now_s - self._said_s < REMIND_PERIOD_S:
            return ""
        self._kind, self._said_s = kind, now_s
        return trouble


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)


class CameraStats:
    """A camera's counters and recent latencies; written by the node's threads, read by diagnostics."""

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._latencies: deque[tuple[float, ...]] = deque(maxlen=_WINDOW)
        self._processed = 0
        self._failed = 0
        self._last_tally = Tally()
        self._last_s = now_s
        self._arrived_s = now_s
        self._unfinished_s: float | None = None  # since when frames have been arriving and none was finished
        self.age_ms = 0.0
        self.reason = ""

    def arrived(self, now_s: float, age_ms: float) -> None:
        """Note that a frame came in."""
        self._arrived_s, self.age_ms = now_s, age_ms
        with self._lock:
            if self._unfinished_s is None:
                self._unfinished_s = now_s

    def processed(self, stages_ms: dict[str, float]) -> None:
        """Count a published frame and keep its stage times."""
        with self._lock:
            self._processed += 1
            self._unfinished_s = None
            self._latencies.append(tuple(stages_ms[stage] for stage in STAGES))

    def failed(self, reason: str) -> None:
        """Count a frame that could not be inferred or published; `reason` says which."""
        with self._lock:
            self._failed += 1
            self._unfinished_s = None
            self.reason = reason

    def malformed(self, reason: str) -> None:
        """Remember why a frame could not be read; its slot counts it."""
        with self._lock:
            self._unfinished_s = None
            self.reason = reason

    def stalled_s(self, now_s: float) -> float:
        """Seconds for which frames have been arriving and none was finished."""
        with self._lock:
            return 0.0 if self._unfinished_s is None else now_s - self._unfinished_s

    def silent_s(self, now_s: float) -> float:
        """Seconds since a frame came in."""
        return now_s - self._arrived_s

    def tally(self, counts_of_slot: Callable[[], SlotCounts]) -> Tally:
        """The counters now; frames that are being processed count as waiting."""
        with self._lock:
            processed, failed = self._processed, self._failed
        slot = counts_of_slot()  # after the above: what is processed by then has been received by now
        accounted = processed + failed + slot.dropped_overwritten + slot.dropped_stale + slot.malformed
        return Tally(
            slot.received,
            processed,
            slot.dropped_overwritten,
            slot.dropped_stale,
            slot.malformed,
            failed,
            slot.received - accounted,
        )

    def recent(self, tally: Tally, now_s: float) -> tuple[Tally, float]:
        """What was counted since the last call, and over how many seconds."""
        recent, seconds = tally.since(self._last_tally), now_s - self._last_s
        self._last_tally, self._last_s = tally, now_s
        return recent, seconds

    def percentiles_ms(self) -> dict[str, float]:
        """Latency percentiles of the last frames by stage, e.g. ``inference_p95_ms``; at first empty."""
        with self._lock:
            table = np.array(self._latencies, np.float64)
        if not table.size:
            return {}
        values = np.percentile(table, PERCENTILES, axis=0)
        return {
            f"{stage}_p{percent}_ms": float(values[row, column])
            for column, stage in enumerate(STAGES)
            for row, percent in enumerate(PERCENTILES)
        }
