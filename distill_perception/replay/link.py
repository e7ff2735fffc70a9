"""One end of the conversation with the node: camera frames out, answers and diagnostics in."""

from __future__ import annotations

import array
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from ..bags.mask_spool import MaskSpool
from ..bags.reader import BagFrame
from ..ros.participant import Participant, publishers_of
from ..ros.status import Status, read_status
from ..ros.transport import use_large_messages
from ..topics import is_compressed, result_topic
from .ledger import Ledger
from .recording import Recording

# Nothing may be lost on the way: what is missing at the end, the node has dropped.
_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
_TIMING_PATIENCE_S = 0.25
_STATUS_PATIENCE_S = 3.0
_DRAIN_S = 1.0  # frames must go on


@contextmanager
def use_environment(environ: Mapping[str, str]) -> Iterator[None]:
    """This process's environment while it talks to the node; large images can pass in any case.

    The middleware reads its settings from the environment when the first participant is made.

    Args:
        environ: all of it; empty where it is to stay as it is.
    """
    before = dict(os.environ)
    if environ:  # what it leaves out must not stay
        os.environ.clear()
        os.environ.update(environ)
    use_large_messages()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Link:
    """Publishers and subscriptions for all cameras of a replay. Not thread-safe: call from one thread.

    Args:
        cameras: image topics by their topics in the bag (see `played_topics`).
        tasks: the bundle's, which say what answers a frame gets.
        node_name: the perception node's.
        domain_id: ROS domain; None for the environment's.
        masks: takes the masks.
    """

    def __init__(
        self,
        cameras: Mapping[str, str],
        tasks: tuple[str, ...],
        node_name: str,
        domain_id: int | None,
        masks: MaskSpool,
    ) -> None:
        self.ledger = Ledger(tasks, masks)
        self._node_name = node_name.strip("/")
        self._last_stamp = 0
        self._begin = time.monotonic()
        self._heard = 0  # messages so far
        self.status: Status | None = None  # what the node last said of itself
        self._score_threshold: float | None = None
        self._status_before: Status | None = None
        self._active = False
        self._ros = Participant("replay", domain_id)
        self._node = self._ros.node
        self._publishers = {
            topic: self._node.create_publisher(
                CompressedImage if is_compressed(camera) else Image, camera, _QOS
            )
            for topic, camera in cameras.items()
        }
        answers = (*sorted(self.ledger.expected), "timing")
        self._subscriptions = [self._subscribe(topic, answer) for topic in cameras for answer in answers]
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._state_client = self._node.create_client(GetState, f"/{self._node_name}/get_state")
        self._state_reply: Any = None

    def _subscribe(self, topic: str, answer: str) -> Any:
        kind, call = {
            "mask": (Image, self.ledger.on_mask),
            "detections": (Detection2DArray, self.ledger.on_detections),
            "timing": (DiagnosticArray, self.ledger.on_timing),
        }[answer]
        hear = partial(self._on_answer, call, topic)
        return self._node.create_subscription(kind, result_topic(topic, answer), hear, _QOS)

    def _on_answer(self, call: Callable[[str, Any], None], topic: str, message: Any) -> None:
        self._heard += 1
        call(topic, message)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ros.close()

    def spin(self, seconds: float) -> None:
        """Handle what comes in until something did or this time is over."""
        self._ros.executor.spin_once(timeout_sec=seconds)

    def drain(self) -> None:
        """Handle all that has come in: a frame brings several answers, which must not pile up."""
        idle, deadline = 0, time.monotonic() + _DRAIN_S
        while idle < 2 and time.monotonic() < deadline:  # one may be but the end of rclpy's round
            heard = self._heard
            self.spin(0.0)
            idle = idle + 1 if self._heard == heard else 0

    def settle(self, seconds: float) -> None:
        """Handle what comes in during all of this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.spin(left)

    def publishers_of_results(self) -> dict[str, list[str]]:
        """Names of the nodes that publish each answer: see `publishers_of`."""
        topics = [subscription.topic_name for subscription in self._subscriptions]
        return {topic: publishers_of(self._node, topic) for topic in topics}

    def cameras_of_others(self) -> list[str]:
        """Image topics that somebody else publishes too."""
        names = [publisher.topic_name for publisher in self._publishers.values()]
        return [name for name in names if self._node.count_publishers(name) > 1]

    def not_ready(self) -> str:
        """What is still missing before frames may be sent; empty when all is there."""
        for publisher in self._publishers.values():
            if not publisher.get_subscription_count():
                return f"it does not subscribe to {publisher.topic_name}"
        for topic, publishers in self.publishers_of_results().items():
            if self._node_name not in publishers:
                return f"it does not publish {topic}"
        if not self._active:
            self._ask_state()
            return "it is not in lifecycle state 'active'"
        return ""

    def _ask_state(self) -> None:
        reply = self._state_reply
        if reply is None:
            if self._state_client.service_is_ready():
                self._state_reply = self._state_client.call_async(GetState.Request())
        elif reply.done():
            self._active = reply.result().current_state.id == State.PRIMARY_STATE_ACTIVE
            self._state_reply = None

    def start(self) -> None:
        """Count from here: time, and the node's own counters."""
        self._status_before = self.status
        self._begin = time.monotonic()

    @staticmethod
    def message(frame: BagFrame) -> Image | CompressedImage:
        """The frame's message but for its stamp."""
        image = frame.image
        if image.format:
            message = CompressedImage(format=image.format)
        else:
            message = Image(
                height=image.height,
                width=image.width,
                encoding=image.encoding,
                step=image.step,
                is_bigendian=image.is_bigendian,
            )
        message.data = array.array("B", image.data.tobytes())
        message.header.frame_id = image.frame_id
        return message

    def publish(self, frame: BagFrame, message: Image | CompressedImage) -> None:
        """Stamp the message with the present time and send it."""
        stamp_ns = max(self._node.get_clock().now().nanoseconds, self._last_stamp + 1)
        self._last_stamp = stamp_ns
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        self.ledger.note_sent(frame, stamp_ns)
        self._publishers[frame.topic].publish(message)

    def spin_for_timing(self) -> None:
        """Give the last answered frame's timing, which the node publishes last, a moment to come."""
        deadline = time.monotonic() + _TIMING_PATIENCE_S
        while self.ledger.timing_is_due and time.monotonic() < deadline:
            self.spin(0.01)

    def spin_for_status(self, seconds: float = _STATUS_PATIENCE_S) -> None:
        """Wait for diagnostics that the node makes from now on and that count every frame it answered."""
        self.drain()
        before, deadline = self.status, time.monotonic() + seconds
        while time.monotonic() < deadline and (
            self.status is before or self._processed() < self.ledger.answered
        ):
            self.spin(0.05)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self._heard += 1
        status = read_status(message, self._node_name)
        if status is not None:
            self.status = status

    @property
    def said(self) -> str:
        """What the node last said of itself, such as how far the engine is built."""
        return self.status.message if self.status else ""

    def _ask_score_threshold(self) -> float | None:
        """The node's parameter; None if it does not tell."""
        client = self._node.create_client(GetParameters, f"/{self._node_name}/get_parameters")
        if not client.wait_for_service(_STATUS_PATIENCE_S):
            return None
        reply = client.call_async(GetParameters.Request(names=["score_threshold"]))
        self._ros.executor.spin_until_future_complete(reply, _STATUS_PATIENCE_S)
        if not reply.done():
            return None
        for value in reply.result().values:
            if value.type == ParameterType.PARAMETER_DOUBLE:
                return float(value.double_value)
        return None

    def hear_out(self) -> None:
        """Wait for what the node still has to say of the frames it answered."""
        self.spin_for_timing()
        self.spin_for_status()
        self._score_threshold = self._ask_score_threshold()

    def _counters(self) -> dict[str, dict[str, int]]:
        """The node's own, by camera, since `start`."""
        before = self._status_before.counters if self._status_before else {}
        topics = {publisher.topic_name for publisher in self._publishers.values()}
        return {
            topic: {name: value - before.get(topic, {}).get(name, 0) for name, value in values.items()}
            for topic, values in (self.status.counters if self.status else {}).items()
            if topic in topics
        }

    def _processed(self) -> int:
        return sum(values.get("processed", 0) for values in self._counters().values())

    def recording(self, complete: bool) -> Recording:
        """Everything that was answered, and what the node has said of it."""
        return Recording(
            results=self.ledger.results(self._begin),
            masks=self.ledger.masks,
            complete=complete,
            duration_s=self.ledger.last_event - self._begin,
            engine=self.status.engine if self.status else "",
            counters=self._counters(),
            score_threshold=self._score_threshold,
        )
