"""A bag's frames one by one in any order, as training asks for them, from several processes."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader

from ..errors import BagError
from ..topics import BOXES, LABEL, beside
from .ground_truth import Boxes, boxes_from_message
from .message_types import deserialize, stamp_ns
from .opening import bag_at, readable
from .reader import Bag, label_of
from .recorded_image import RecordedImage


class SeekableBag:
    """Looks messages up by topic and stamp in a bag that was opened with `index_images`.

    Attributes:
        frames: topic and stamp in nanoseconds of each image, in recorded order.
    """

    def __init__(self, bag: Bag) -> None:
        self.bag = bag
        recorded = sorted(
            (time_ns, topic, stamp)
            for topic, times in bag.image_times.items()
            for stamp, time_ns in times.items()
        )
        self.frames = tuple((topic, stamp) for _, topic, stamp in recorded)
        self._reader_of: tuple[int, Reader] | None = None

    def image(self, topic: str, stamp: int) -> RecordedImage:
        """A frame's picture."""
        return RecordedImage.from_message(self._message(topic, stamp, self.bag.image_times[topic][stamp]))

    def label(self, topic: str, stamp: int) -> np.ndarray | None:
        """The class ids of a frame, uint8 [H,W], if it has any."""
        message = self._beside(topic, LABEL, stamp)
        return None if message is None else label_of(message, self.bag.path, beside(topic, LABEL), stamp)

    def boxes(self, topic: str, stamp: int, class_id: Callable[[str], int]) -> Boxes | None:
        """The boxes of a frame, if it has any. class_id: the id of a class as the bag writes it."""
        message = self._beside(topic, BOXES, stamp)
        return None if message is None else boxes_from_message(message, class_id)

    def _beside(self, image_topic: str, name: str, stamp: int) -> Any:
        topic = beside(image_topic, name)
        time_ns = self.bag.truth_times.get(topic, {}).get(stamp)
        return None if time_ns is None else self._message(topic, stamp, time_ns)

    def _message(self, topic: str, stamp: int, time_ns: int) -> Any:
        with readable(self.bag.path):
            reader = self._reader()
            connections = [c for c in reader.connections if c.topic == topic]
            for connection, _, data in reader.messages(connections, time_ns, time_ns + 1):
                if stamp_ns(data, time_ns) == stamp:
                    return deserialize(data, connection.msgtype)
        raise BagError(f"{self.bag.path}: the message of {topic} at {time_ns} is gone; was the bag changed?")

    def _reader(self) -> Reader:
        """A reader of this process: workers must not share an open file's position."""
        if self._reader_of is None or self._reader_of[0] != os.getpid():
            reader = Reader(bag_at(self.bag.path))
            reader.open()
            weakref.finalize(self, reader.close)
            self._reader_of = (os.getpid(), reader)
        return self._reader_of[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader_of": None}
