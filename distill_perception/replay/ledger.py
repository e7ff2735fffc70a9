"""Which frames were sent and what was answered to each; matches by topic and stamp. No ROS here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ..bags.ground_truth import detection_rows, number_or_name
from ..bags.mask_spool import Key, MaskSpool
from ..bags.reader import BagFrame
from ..bags.recorded_image import RecordedImage
from ..errors import ReplayError
from ..perceptor import Detection
from .recording import FrameResult

ANSWERS = {"segmentation": "mask", "detection": "detections"}


@dataclass
class _Sent:
    """A frame on its way. size: height and width, 0 if not known; missing: answers that have not come."""

    key: Key
    sent: float
    size: tuple[int, int]
    missing: set[str]
    answered_ms: float | None = None
    detections: tuple[Detection, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


class Ledger:
    """Frames sent and their answers. Stamps are those that were sent, in nanoseconds, not the bag's.

    Args:
        tasks: the bundle's, which say what answers a frame gets.
        masks: takes the masks.

    Attributes:
        answered: frames whose answers have all come.
        last_event: time.monotonic() of the last frame sent or answered.
    """

    def __init__(self, tasks: tuple[str, ...], masks: MaskSpool) -> None:
        self.masks = masks
        self.expected = frozenset(ANSWERS[task] for task in tasks)
        self.answered = 0
        self.last_event = time.monotonic()
        self._sent: dict[tuple[str, int], _Sent] = {}
        self._open: set[tuple[str, int]] = set()
        self._latest: _Sent | None = None

    @property
    def sent(self) -> int:
        """Frames sent so far."""
        return len(self._sent)

    @property
    def waiting(self) -> int:
        """Frames sent, not answered, and not given up."""
        return len(self._open)

    @property
    def timing_is_due(self) -> bool:
        """Whether the last answered frame's timing, which comes after its answers, has not come yet."""
        return self._latest is not None and not self._latest.timings_ms

    def note_sent(self, frame: BagFrame, stamp_ns: int) -> None:
        """A frame goes out now under this stamp."""
        size = (frame.image.height, frame.image.width)
        place = (frame.topic, stamp_ns)
        self._sent[place] = _Sent((frame.topic, frame.stamp_ns), time.monotonic(), size, set(self.expected))
        self._open.add(place)
        self.last_event = self._sent[place].sent

    def give_up(self) -> None:
        """Wait no longer for the frames sent so far; late answers still count."""
        self._open.clear()

    def on_mask(self, topic: str, message: Any) -> None:
        """A sensor_msgs/Image of class ids came.

        Raises:
            ReplayError: its size is not the camera image's, so that it cannot be compared with labels.
        """
        sent = self._answer(topic, message, "mask")
        if sent is None:
            return
        height, width = sent.size
        if height and (height, width) != (message.height, message.width):
            raise ReplayError(
                f"{topic}: the mask is {message.width}x{message.height}, the image {width}x{height}; set the "
                "node's parameter mask_resolution to 'camera'"
            )
        self.masks.put(sent.key, RecordedImage.from_message(message).label())

    def on_detections(self, topic: str, message: Any) -> None:
        """A vision_msgs/Detection2DArray came."""
        sent = self._answer(topic, message, "detections")
        if sent is not None:
            sent.detections = tuple(
                Detection((box[0], box[1], box[2], box[3]), score, label)
                for box, score, label in detection_rows(message.detections, number_or_name({}))
            )

    def on_timing(self, topic: str, message: Any) -> None:
        """A frame's stage times came, as a DiagnosticArray under the image's header."""
        sent = self._sent.get(_place(topic, message))
        if sent is not None and message.status:
            sent.timings_ms = {pair.key: float(pair.value) for pair in message.status[0].values}

    def _answer(self, topic: str, message: Any, kind: str) -> _Sent | None:
        """Tick off an answer; None if it answers nothing that was sent, or nothing that is missing."""
        place = _place(topic, message)
        sent = self._sent.get(place)
        if sent is None or kind not in sent.missing:
            return None
        sent.missing.discard(kind)
        if not sent.missing:
            self.last_event = time.monotonic()
            sent.answered_ms = (self.last_event - sent.sent) * 1e3
            self.answered += 1
            self._open.discard(place)
            self._latest = sent
        return sent

    def results(self, begin: float) -> tuple[FrameResult, ...]:
        """Every frame in the order of sending. begin: time.monotonic() of the replay's start."""
        return tuple(_result(sent, begin) for sent in self._sent.values())


def _place(topic: str, message: Any) -> tuple[str, int]:
    stamp = message.header.stamp
    return topic, stamp.sec * 10**9 + stamp.nanosec


def _result(sent: _Sent, begin: float) -> FrameResult:
    timings = dict(sent.timings_ms)
    if sent.answered_ms is not None:
        timings["end_to_end"] = sent.answered_ms
    return FrameResult(sent.key, sent.sent - begin, sent.answered_ms is not None, sent.detections, timings)
