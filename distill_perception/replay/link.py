"""One end of the conversation with the node: camera frames out; masks, detections, timings, diagnostics in."""

from __future__ import annotations

import array
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from ..errors import ReplayError
from ..perceptor import Detection
from ..ros.topics import is_compressed, result_topic
from ..ros.transport import use_large_messages
from .bag_reader import BagFrame
from .ground_truth import detection_rows
from .recorded_image import RecordedImage
from .recording import FrameResult, Key, MaskSpool, Recording
from .status import Status, read_status

# Nothing may be lost on the way: what is missing at the end, the node has dropped.
_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
_ANSWERS = {"segmentation": "mask", "detection": "detections"}
_TIMING_PATIENCE_S = 0.25
_STATUS_PATIENCE_S = 3.0


@dataclass
class _Sent:
    """A frame on its way. missing: answers that have not come."""

    key: Key
    sent: float
    size: tuple[int, int]
    missing: set[str]
    answered_ms: float | None = None
    detections: tuple[Detection, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


@contextmanager
def use_environment(environ: Mapping[str, str]) -> Iterator[None]:
    """This process's environment while it talks to the node; large images can pass in any case.

    The middleware reads its settings from the environment when the first participant is made, and a child
    process must get the same.
    """
    before = dict(os.environ)
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
        cameras: image topics by their topics in the bag (see `Bag.cameras`).
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
        self._masks = masks
        self._expected = {_ANSWERS[task] for task in tasks}
        self._node_name = node_name.strip("/")
        self._sent: dict[tuple[str, int], _Sent] = {}
        self._open: set[tuple[str, int]] = set()
        self._last_stamp = 0
        self._begin = time.monotonic()
        self.answered = 0
        self._last_answered: _Sent | None = None
        self._status: Status | None = None
        self._status_before: Status | None = None
        self._context = Context()
        rclpy.init(
            context=self._context, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO
        )
        self._node = Node("replay", context=self._context, enable_rosout=False, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._publishers = {
            topic: self._node.create_publisher(CompressedImage if is_compressed(camera) else Image, camera, _QOS)
            for topic, camera in cameras.items()
        }
        self._subscriptions = [self._subscribe(topic, answer) for topic in cameras for answer in self._answers()]
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._state_client = self._node.create_client(GetState, f"/{self._node_name}/get_state")
        self._state_reply: Any = None
        self._active = False

    def _answers(self) -> list[str]:
        return [*sorted(self._expected), "timing"]

    def _subscribe(self, topic: str, answer: str) -> Any:
        kinds = {"mask": Image, "detections": Detection2DArray, "timing": DiagnosticArray}
        calls = {"mask": self._on_mask, "detections": self._on_detections, "timing": self._on_timing}
        return self._node.create_subscription(
            kinds[answer], result_topic(topic, answer), partial(calls[answer], topic), _QOS
        )

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    @property
    def sent(self) -> int:
        """Frames published so far."""
        return len(self._sent)

    @property
    def waiting(self) -> int:
        """Frames published and not answered."""
        return len(self._open)

    def spin(self, seconds: float) -> None:
        """Handle what comes in until something did or this time is over."""
        self._executor.spin_once(timeout_sec=seconds)

    def settle(self, seconds: float) -> None:
        """Handle what comes in during all of this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def not_ready(self) -> str:
        """What is still missing before frames may be sent; empty when all is there."""
        for publisher in self._publishers.values():
            if not publisher.get_subscription_count():
                return f"it does not subscribe to {publisher.topic_name}"
        for subscription in self._subscriptions:
            if not self._node.count_publishers(subscription.topic_name):
                return f"it does not publish {subscription.topic_name}"
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
        self._status_before = self._status
        self._begin = time.monotonic()

    @staticmethod
    def message(frame: BagFrame) -> Image | CompressedImage:
        """The frame's message but for its stamp."""
        image: RecordedImage = frame.image
        data = array.array("B")
        data.frombytes(memoryview(np.ascontiguousarray(image.data)))
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
        message.data = data
        message.header.frame_id = image.frame_id
        return message

    def publish(self, frame: BagFrame, message: Image | CompressedImage) -> None:
        """Stamp the message with the present time and send it."""
        stamp = max(self._node.get_clock().now().nanoseconds, self._last_stamp + 1)
        self._last_stamp = stamp
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        key = (frame.topic, stamp)
        size = (frame.image.height, frame.image.width)
        self._sent[key] = _Sent((frame.topic, frame.stamp_ns), time.monotonic(), size, set(self._expected))
        self._open.add(key)
        self._publishers[frame.topic].publish(message)

    def give_up_waiting(self) -> None:
        """Do not wait any longer for the frames sent so far; late answers still count."""
        self._open.clear()

    def _find(self, topic: str, header: Any) -> _Sent | None:
        return self._sent.get((topic, header.stamp.sec * 10**9 + header.stamp.nanosec))

    def _answer(self, topic: str, header: Any, kind: str) -> _Sent | None:
        """Tick off an answer; None if it answers nothing that was sent."""
        sent = self._find(topic, header)
        if sent is None or kind not in sent.missing:
            return None
        sent.missing.discard(kind)
        if not sent.missing:
            sent.answered_ms = (time.monotonic() - sent.sent) * 1e3
            self.answered += 1
            self._open.discard((topic, header.stamp.sec * 10**9 + header.stamp.nanosec))
            self._last_answered = sent
        return sent

    def _on_mask(self, topic: str, message: Image) -> None:
        sent = self._answer(topic, message.header, "mask")
        if sent is None:
            return
        if 0 not in sent.size and sent.size != (message.height, message.width):
            raise ReplayError(
                f"{topic}: the mask is {message.width}x{message.height}, the image {sent.size[1]}x{sent.size[0]}; "
                "set the node's parameter mask_resolution to 'camera'"
            )
        self._masks.put(sent.key, RecordedImage.from_message(message).label())

    def _on_detections(self, topic: str, message: Detection2DArray) -> None:
        sent = self._answer(topic, message.header, "detections")
        if sent is not None:
            sent.detections = tuple(
                Detection((box[0], box[1], box[2], box[3]), score, label)
                for box, score, label in detection_rows(message, {})
            )

    def _on_timing(self, topic: str, message: DiagnosticArray) -> None:
        sent = self._find(topic, message.header)
        if sent is not None and message.status:
            sent.timings_ms = {pair.key: float(pair.value) for pair in message.status[0].values}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        status = read_status(message, self._node_name)
        if status is not None:
            self._status = status

    def spin_for_timing(self) -> None:
        """Give the last answered frame's timing, which the node publishes last, a moment to come."""
        last, deadline = self._last_answered, time.monotonic() + _TIMING_PATIENCE_S
        while last is not None and not last.timings_ms and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.01)

    def spin_for_status(self, seconds: float = _STATUS_PATIENCE_S) -> None:
        """Wait for the node's next diagnostics."""
        before, deadline = self._status, time.monotonic() + seconds
        while self._status is before and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)

    def recording(self, complete: bool) -> Recording:
        """Everything that was answered, with the node's own counters since `start`."""
        duration_s = time.monotonic() - self._begin
        self.spin_for_timing()
        self.spin_for_status()
        before = self._status_before.counters if self._status_before else {}
        counters = {
            topic: {name: value - before.get(topic, {}).get(name, 0) for name, value in values.items()}
            for topic, values in (self._status.counters if self._status else {}).items()
            if topic in self._publishers
        }
        return Recording(
            results=tuple(self._result(sent) for sent in self._sent.values()),
            masks=self._masks,
            complete=complete,
            duration_s=duration_s,
            engine=self._status.engine if self._status else "",
            counters=counters,
        )

    def _result(self, sent: _Sent) -> FrameResult:
        timings = dict(sent.timings_ms)
        if sent.answered_ms is not None:
            timings["end_to_end"] = sent.answered_ms
        return FrameResult(
            sent.key, sent.sent - self._begin, sent.answered_ms is not None, sent.detections, timings
        )
