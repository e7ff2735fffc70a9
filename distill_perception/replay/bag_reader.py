"""Read a bag as a stream of camera frames with labels and boxes of the same stamp; memory stays bounded."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from .recording import Key, MaskSpool
from .topics import BOXES, LABEL, LABEL_INFO, beside, played_topic

_log = logging.getLogger(__name__)

_ROS1_MAGIC = b"#ROSBAG V"
_TRUTH = {LABEL: kinds.IMAGE, BOXES: kinds.DETECTIONS}


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
    """What a bag holds. Made by `open_bag`; every call of `frames` reads it from the start.

    truth_stamps: stamps in nanoseconds of the messages on each label and box topic that has any.
    """

    path: Path
    topics: tuple[str, ...]
    kinds: tuple[str, ...]
    frame_count: int
    truth_stamps: dict[str, frozenset[int]]
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
        seen: set[Key] = set()
        with _opened(self.path) as reader, MaskSpool() as labels:
            images = set(zip(self.topics, self.kinds, strict=True))
            connections = [c for c in reader.connections if (c.topic, c.msgtype) in images]
            beside_images = _Truth(self, labels)
            for connection, stamp_ns, time_ns, data in _messages(reader, connections):
                self._note((connection.topic, stamp_ns), seen)
                label, boxes = (
                    beside_images.take(connection.topic, name, stamp_ns) if truth else None for name in _TRUTH
                )
                image = RecordedImage.from_message(kinds.deserialize(data, connection.msgtype))
                yield BagFrame(connection.topic, stamp_ns, time_ns, image, label, boxes)

    def _note(self, key: Key, seen: set[Key]) -> None:
        """Refuse a second frame of the same stamp: a label or an answer could be either's."""
        if key in seen:
            topic, (seconds, rest_ns) = key[0], divmod(key[1], 10**9)
            raise ReplayError(
                f"{self.path}: two images on {topic} have the stamp {seconds}.{rest_ns:09} s, "
                "so their labels cannot be told apart; record it again with a driver that stamps each image"
            )
        seen.add(key)


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
            truth_stamps=_truth_stamps(reader, chosen) if truth else {},
            class_names=_class_names(reader, chosen) if truth else {},
        )


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """rosbags' reader with its many errors translated into ours."""
    if not path.exists():
        raise ReplayError(f"{path}: no such bag; make one with 'distill-perception bag' or 'ros2 bag record'")
    if path.is_file():
        _refuse_other_files(path)
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


def _refuse_other_files(path: Path) -> None:
    """Say what to do with a file that is no rosbag2; a damaged one is found by its reader."""
    with path.open("rb") as file:
        is_ros1 = path.suffix == ".bag" or file.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC
    if is_ros1:
        convert = shlex.join(
            ["rosbags-convert", "--src", str(path), "--dst", str(path.with_suffix("")) + "_ros2"]
        )
        raise ReplayError(f"{path}: this is a bag of ROS 1; convert it: {convert}")
    if path.suffix not in Reader.STORAGE_PLUGINS:
        make = shlex.join(["distill-perception", "bag", str(path), str(path.with_suffix("")) + "_bag"])
        raise ReplayError(
            f"{path}: not a bag (a rosbag2 folder, or a .mcap or .db3 file); make one of a video: {make}"
        )


def _messages(reader: Reader, connections: list[Connection]) -> Iterator[tuple[Connection, int, int, bytes]]:
    """Connection, stamp, recording time and bytes of each message, by recording time.

    An error ends them if fewer come than announced: sqlite ends a cut-off table without one.
    """
    if not connections:  # which rosbags takes for all
        return
    count, announced = 0, sum(connection.msgcount for connection in connections)
    for connection, time_ns, data in reader.messages(connections):
        count += 1
        yield connection, kinds.stamp_ns(data, time_ns), time_ns, data
    if count < announced:
        raise EOFError(f"{announced} messages are announced, {count} are there")


def _truth(reader: Reader, topics: Sequence[str]) -> list[Connection]:
    """The labels and boxes beside these image topics."""
    places = {beside(topic, name): kind for topic in topics for name, kind in _TRUTH.items()}
    return [c for c in reader.connections if places.get(c.topic) == c.msgtype and c.topic not in topics]


def _truth_stamps(reader: Reader, topics: Sequence[str]) -> dict[str, frozenset[int]]:
    stamps: dict[str, set[int]] = {}
    for connection, stamp_ns, _, _ in _messages(reader, _truth(reader, topics)):
        stamps.setdefault(connection.topic, set()).add(stamp_ns)
    return {topic: frozenset(found) for topic, found in stamps.items()}


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


class _Truth:
    """Labels and boxes by topic and stamp, read no further than frames ask for them.

    Recorders write them late and cameras mix, so what is passed on the way to a frame's own is kept: boxes in
    memory, labels in a file.
    """

    def __init__(self, bag: Bag, labels: MaskSpool) -> None:
        self._bag, self._labels = bag, labels
        self._boxes: dict[Key, Boxes] = {}
        self._cameras = {beside(topic, name): topic for topic in bag.topics for name in _TRUTH}
        self._messages = self._read()

    def take(self, image_topic: str, name: str, stamp_ns: int) -> Any:
        """The frame's label (uint8 [H,W]) or boxes; None if it has none. To be asked once for each."""
        key = (beside(image_topic, name), stamp_ns)
        known = self._bag.truth_stamps.get(key[0], frozenset())
        if stamp_ns not in known or self._cameras[key[0]] != image_topic:
            return None
        if key in self._boxes:
            return self._boxes.pop(key)
        if (label := self._labels.get(key)) is not None:
            return label
        for passed, value in self._messages:
            if passed == key:
                return value
            if isinstance(value, Boxes):
                self._boxes[passed] = value
            else:
                self._labels.put(passed, value)
        return None

    def _read(self) -> Iterator[tuple[Key, np.ndarray | Boxes]]:
        """By a reader of its own: an MCAP file without an index is read at one place only."""
        ids_by_name = {name: class_id for class_id, name in self._bag.class_names.items()}
        with _opened(self._bag.path) as reader:
            for connection, stamp_ns, _, data in _messages(reader, _truth(reader, self._bag.topics)):
                key, message = (connection.topic, stamp_ns), kinds.deserialize(data, connection.msgtype)
                if connection.msgtype == kinds.DETECTIONS:
                    yield key, boxes_from_message(message, ids_by_name)
                else:
                    yield key, self._label(key, message)

    def _label(self, key: Key, message: Any) -> np.ndarray:
        try:
            return RecordedImage.from_message(message).label()
        except ImageError as error:
            raise ReplayError(f"{self._bag.path}, {key[0]} at {key[1] / 1e9:.3f} s: {error}") from error
