"""Read a bag as a stream of camera frames with labels and boxes of the same stamp; memory stays bounded."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import ImageError, PerceptionError, ReplayError
from . import message_types as kinds
from .camera_topics import cameras_of, image_topics
from .ground_truth import Boxes, boxes_from_message
from .recorded_image import RecordedImage
from .topics import BOXES, LABEL, LABEL_INFO, beside, played_topic

_log = logging.getLogger(__name__)

_TRUTH = {LABEL: kinds.IMAGE, BOXES: kinds.DETECTIONS}
_WINDOW = 32  # frames that may wait for their label before they are handed on without


@dataclass(frozen=True)
class BagFrame:
    """One camera frame of a bag.

    stamp_ns: the message's header stamp (its recording time where the header has none), unique per topic;
    time_ns: recording time, which sets the pace; label: uint8 [H,W] class ids.
    """

    topic: str
    stamp_ns: int
    time_ns: int
    image: RecordedImage
    label: np.ndarray | None = None
    boxes: Boxes | None = None


@dataclass(frozen=True)
class Bag:
    """What a bag holds. Made by `open_bag`; every call of `frames` reads it from the start."""

    path: Path
    topics: tuple[str, ...]
    kinds: tuple[str, ...]
    frame_count: int
    duration_s: float
    labelled: bool
    boxed: bool
    class_names: dict[int, str]

    @property
    def cameras(self) -> dict[str, str]:
        """The topic to play each topic on, see `played_topic`.

        Raises:
            ReplayError: ROS would not take a topic's name.
        """
        return {
            topic: played_topic(topic, kind == kinds.COMPRESSED_IMAGE)
            for topic, kind in zip(self.topics, self.kinds, strict=True)
        }

    def frames(self, *, truth: bool = True) -> Iterator[BagFrame]:
        """Stream the chosen topics' frames in recorded order, with labels and boxes if `truth`.

        Raises:
            ReplayError: the bag is damaged or holds an image or label that cannot be read.
        """
        with _opened(self.path) as reader:
            images = set(zip(self.topics, self.kinds, strict=True))
            connections = [c for c in reader.connections if (c.topic, c.msgtype) in images]
            wanted = {LABEL: truth and self.labelled, BOXES: truth and self.boxed}
            connections += [c for name in _TRUTH if wanted[name] for c in _beside(reader, self.topics, name)]
            yield from _Matcher(self, truth).match(_all_messages(reader, connections))


def open_bag(path: Path, topics: Sequence[str] = (), truth: bool = True) -> Bag:
    """Look into a bag and choose its image topics.

    Args:
        path: a rosbag2 folder, or a .mcap or .db3 file.
        topics: image topics to use; by default one for each camera namespace.
        truth: False takes the bag for one without labels and boxes.

    Raises:
        ReplayError: no bag, a damaged bag, no image topic that can be used, or no messages in it.
    """
    with _opened(path) as reader:
        images = image_topics(reader)
        chosen = tuple(topics) or cameras_of(reader, path)
        unknown = [topic for topic in chosen if topic not in images]
        if unknown:
            have = ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections)
            raise ReplayError(
                f"{path}: no image topic {unknown[0]} in this bag; it holds {have or 'nothing'}"
            )
        frame_count = sum(images[topic].msgcount for topic in chosen)
        if not frame_count:
            raise ReplayError(
                f"{path}: no messages on {', '.join(chosen)}; was the recording stopped too early?"
            )
        _tell_passed_over(path, reader, chosen)
        return Bag(
            path=path,
            topics=chosen,
            kinds=tuple(images[topic].msgtype for topic in chosen),
            frame_count=frame_count,
            duration_s=reader.duration / 1e9,
            labelled=truth and any(c.msgcount for c in _beside(reader, chosen, LABEL)),
            boxed=truth and any(c.msgcount for c in _beside(reader, chosen, BOXES)),
            class_names=_class_names(reader, chosen) if truth else {},
        )


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """rosbags' reader with its many errors translated into ours."""
    if not path.exists():
        raise ReplayError(f"{path}: no such bag; make one with 'distill-perception bag' or 'ros2 bag record'")
    target = path
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        files = [*path.glob("*.mcap"), *path.glob("*.db3")]
        if len(files) != 1:
            raise ReplayError(
                f"{path}: not a rosbag2 folder (no metadata.yaml); try: ros2 bag reindex {path}"
            )
        target = files[0]
    try:
        with Reader(target) as reader:
            yield reader
    except (PerceptionError, GeneratorExit):
        raise
    except (
        Exception
    ) as error:  # rosbags raises struct, sqlite, zstd, yaml and its own errors on damaged files
        raise ReplayError(
            f"{path}: cannot be read, it is empty, cut off or damaged ({type(error).__name__}: {error}); "
            f"try 'mcap recover' on the file or 'ros2 bag reindex {path}', or record it again"
        ) from error


def _all_messages(reader: Reader, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
    """The messages, and an error if fewer come than announced: sqlite ends a cut-off table without one."""
    count, announced = 0, sum(connection.msgcount for connection in connections)
    for message in reader.messages(connections):
        count += 1
        yield message
    if count < announced:
        raise EOFError(f"{announced} messages are announced, {count} are there")


def _beside(reader: Reader, topics: Sequence[str], name: str) -> list[Connection]:
    """The labels (or boxes) beside these image topics."""
    places = {beside(topic, name) for topic in topics}
    return [c for c in reader.connections if c.topic in places and c.msgtype == _TRUTH[name]]


def _tell_passed_over(path: Path, reader: Reader, topics: Sequence[str]) -> None:
    """Log what lies where labels or boxes do and is of another type."""
    wanted = {beside(topic, name): kind for topic in topics for name, kind in _TRUTH.items()}
    for connection in reader.connections:
        kind = wanted.get(connection.topic, connection.msgtype)
        if connection.msgtype != kind and connection.topic not in topics:
            found = f"{connection.topic} is passed over: it is {connection.msgtype}"
            _log.warning("%s: %s, labels there are %s", path, found, kind)


def _class_names(reader: Reader, topics: Sequence[str]) -> dict[int, str]:
    wanted = {beside(topic, LABEL_INFO) for topic in topics}
    connections = [c for c in reader.connections if c.topic in wanted and c.msgtype == kinds.LABEL_INFO]
    if not connections:
        return {}
    for connection, _, data in reader.messages(connections):
        return {
            int(c.class_id): str(c.class_name) for c in kinds.deserialize(data, connection.msgtype).class_map
        }
    return {}


@dataclass
class _Matcher:
    """Joins images with labels and boxes that may come in any order within a window."""

    bag: Bag
    truth: bool
    waiting: OrderedDict[tuple[str, int], BagFrame] = field(default_factory=OrderedDict)
    labels: OrderedDict[tuple[str, int], np.ndarray] = field(default_factory=OrderedDict)
    boxes: OrderedDict[tuple[str, int], Boxes] = field(default_factory=OrderedDict)
    seen: set[tuple[str, int]] = field(default_factory=set)

    def match(self, messages: Iterator[tuple[Connection, int, bytes]]) -> Iterator[BagFrame]:
        cameras = {beside(topic, name): topic for topic in self.bag.topics for name in (LABEL, BOXES)}
        expects = {c for c in (self.bag.labelled and LABEL, self.bag.boxed and BOXES) if c and self.truth}
        ids_by_name = {name: class_id for class_id, name in self.bag.class_names.items()}
        for connection, time_ns, data in messages:
            message = kinds.deserialize(data, connection.msgtype)
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec or time_ns
            key = (cameras.get(connection.topic, connection.topic), stamp_ns)
            if connection.topic in self.bag.topics:
                self._note(key)
                image = RecordedImage.from_message(message)
                self.waiting[key] = BagFrame(key[0], stamp_ns, time_ns, image)
            elif connection.msgtype == kinds.DETECTIONS:
                self.boxes[key] = boxes_from_message(message, ids_by_name)
            elif connection.msgtype == kinds.IMAGE:
                self.labels[key] = self._label(connection.topic, stamp_ns, message)
            yield from self._ready(expects)
            for store in (self.labels, self.boxes):
                while len(store) > _WINDOW:
                    store.popitem(last=False)
        while self.waiting:
            yield self._take()

    def _label(self, topic: str, stamp_ns: int, message: Any) -> np.ndarray:
        try:
            return RecordedImage.from_message(message).label()
        except ImageError as error:
            raise ReplayError(f"{self.bag.path}, {topic} at {stamp_ns / 1e9:.3f} s: {error}") from error

    def _note(self, key: tuple[str, int]) -> None:
        """Refuse a second frame of the same stamp: a label or an answer could be either's."""
        if key in self.seen:
            topic, (seconds, rest_ns) = key[0], divmod(key[1], 10**9)
            raise ReplayError(
                f"{self.bag.path}: two images on {topic} have the stamp {seconds}.{rest_ns:09} s, "
                "so their labels cannot be told apart; record it again with a driver that stamps each image"
            )
        self.seen.add(key)

    def _ready(self, expects: set[str]) -> Iterator[BagFrame]:
        while self.waiting:
            key = next(iter(self.waiting))
            complete = (LABEL not in expects or key in self.labels) and (
                BOXES not in expects or key in self.boxes
            )
            if not complete and len(self.waiting) <= _WINDOW:
                return
            yield self._take()

    def _take(self) -> BagFrame:
        key, frame = self.waiting.popitem(last=False)
        label, boxes = self.labels.pop(key, None), self.boxes.pop(key, None)
        return BagFrame(frame.topic, frame.stamp_ns, frame.time_ns, frame.image, label, boxes)
