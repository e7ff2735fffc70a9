"""One camera of the running node: its subscription, what arrives on it, and how it is doing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage

from ..errors import ImageError
from ..latest import LatestSlot
from .diagnostics import CameraStats, Health, judge
from .messages import frame_from_image, status_message, status_name
from .stream import CameraStream
from .worker import Arrival

# The executor would now prepare its next wait in Python, keeping the interpreter from the worker for half a
# millisecond; a short sleep hands it over until the worker is in the engine (measured: queue 0.6 to 0.2 ms).
_YIELD_S = 0.0002


class CameraInput:
    """Subscribes to a camera and leaves its newest frame in the slot. Used by the executor's thread.

    Args:
        node: the node that subscribes.
        topic: absolute image topic.
        profile: the subscription's QoS.
        slot: where frames are left for the worker.
        stats: the camera's counters.
        complain: called with why a frame was dropped; it decides how often to log.
    """

    def __init__(
        self,
        node: LifecycleNode,
        topic: str,
        profile: QoSProfile,
        slot: LatestSlot[Arrival],
        stats: CameraStats,
        complain: Callable[[str], None],
    ) -> None:
        self.topic = topic
        self._node, self._slot, self._stats, self._complain = node, slot, stats, complain
        self._clock = node.get_clock()
        self._stream = CameraStream(node, topic, profile, self._on_frame)
        self._lost_before = 0

    def destroy(self) -> None:
        """Stop listening."""
        self._stream.destroy()

    def _on_frame(self, message: Any) -> None:
        received_s = time.perf_counter()
        now_ns = self._clock.now().nanoseconds
        stamp = message.header.stamp
        # An unstamped frame is as old as its arrival: the driver gives nothing better.
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec or now_ns
        self._stats.arrived(received_s, (now_ns - stamp_ns) / 1e6)
        try:
            content = message if isinstance(message, CompressedImage) else frame_from_image(message)
        except ImageError as error:
            self._stats.malformed(str(error))
            self._slot.count_malformed()
            self._complain(f"{self.topic}: dropped a malformed frame: {error}")
        else:
            self._slot.put(Arrival(message.header, content, received_s), stamp_ns)
            time.sleep(_YIELD_S)

    def status(self, max_age_ms: float, others: int) -> DiagnosticStatus:
        """The camera's part of the diagnostics, over what happened since it was asked last.

        others: how many other publishers its results' topics have.
        """
        now_s = time.perf_counter()
        tally = self._stats.tally(self._slot.counts)
        recent, seconds = self._stats.recent(tally, now_s)
        lost, lost_before = self._stream.lost(), self._lost_before
        self._lost_before = lost
        publishers, other_type = self._stream.publishers()
        health = Health(
            tally=tally,
            recent=recent,
            silent_s=self._stats.silent_s(now_s),
            publishers=publishers,
            lost=lost - lost_before,
            stalled_s=self._stats.stalled_s(now_s),
            other_type=other_type,
            qos_problem=self._stream.qos_problem,
            max_age_ms=max_age_ms,
            age_ms=self._stats.age_ms,
            reason=self._stats.reason,
            others=others,
        )
        level, text = judge(self.topic, health)
        values: dict[str, Any] = {
            "rate_hz": recent.processed / seconds if seconds > 0 else 0.0,
            "received_hz": recent.received / seconds if seconds > 0 else 0.0,
            **{name: getattr(tally, name) for name in tally.__dataclass_fields__},
            "lost_in_transport": lost,
            "age_ms": health.age_ms,
            **self._stats.percentiles_ms(),
        }
        return status_message(level, status_name(self._node, self.topic), text, self.topic, values)

    def summary(self) -> str:
        """The final counters, for the log."""
        return f"{self.topic}: {self._stats.tally(self._slot.counts).as_text()}"
