"""Read a bag as a stream of camera frames with labels and boxes of the same stamp; memory stays bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import PerceptionError, ReplayError
from ..ros.topics import image_namespace, is_compressed
from . import message_types as kinds
from .ground_truth import Boxes, boxes_from_message
from .recorded_image import RecordedImage
from .topics import BOXES, LABEL, LABEL_INFO, beside

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
        """The topic to play each topic on: a node knows compressed cameras by their name's ending."""
        return {
            topic: f"{topic}/compressed"
            if kind == kinds.COMPRESSED_IMAGE and not is_compressed(topic)
            else topic
            for topic, kind in zip(self.topics, self.kinds, strict=True)
        }

    def frames(self, *, truth: bool = True) -> Iterator[BagFrame]:
        """Stream the chosen topics' frames in recorded order, with labels and boxes if `truth`.

        Raises:
            ReplayError: the bag is damaged or holds an image or label that cannot be read.
        """
        with _opened(self.path) as reader:
            wanted = set(self.topics)
            if truth:
                wanted |= {beside(topic, name) for topic in self.topics for name in (LABEL, BOXES)}
            connections = [c for c in reader.connections if c.topic in wanted]
            yield from _Matcher(self, truth).match(_all_messages(reader, connections))


def open_bag(path: Path, topics: Sequence[str] = ()) -> Bag:
    """Look into a bag and choose its image topics.

    Args:
        path: a rosbag2 folder, or a .mcap or .db3 file.
        topics: image topics to use; by default one for each camera namespace.

    Raises:
        ReplayError: no bag, a damaged bag, no image topic, or no messages in it.
    """
    with _opened(path) as reader:
        images = {
            c.topic: c for c in reader.connections if c.msgtype in (kinds.IMAGE, kinds.COMPRESSED_IMAGE)
        }
        counts = {c.topic: c.msgcount for c in reader.connections}
        chosen = tuple(topics) or _cameras(reader, images)
        unknown = [topic for topic in chosen if topic not in images]
        if unknown or not chosen:
            what = f"no image topic {unknown[0]}" if unknown else "no camera topic (Image or CompressedImage)"
            have = ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections) or "nothing"
            raise ReplayError(f"{path}: {what} in this bag; it holds {have}")
        frame_count = sum(counts[topic] for topic in chosen)
        if not frame_count:
            raise ReplayError(
                f"{path}: no messages on {', '.join(chosen)}; was the recording stopped too early?"
            )
        return Bag(
            path=path,
            topics=chosen,
            kinds=tuple(images[topic].msgtype for topic in chosen),
            frame_count=frame_count,
            duration_s=reader.duration / 1e9,
            labelled=any(counts.get(beside(topic, LABEL)) for topic in chosen),
            boxed=any(counts.get(beside(topic, BOXES)) for topic in chosen),
            class_names=_class_names(reader, chosen),
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


def _cameras(reader: Reader, images: dict[str, Connection]) -> tuple[str, ...]:
    """One image topic for each namespace: image_raw, else the first raw, else the first compressed."""
    best: dict[str, Connection] = {}
    for topic, connection in sorted(images.items()):
        if not connection.msgcount or topic.endswith(f"/{LABEL}") or "/perception/" in topic:
            continue
        if not _shows_camera_pixels(reader, connection):
            continue
        namespace = image_namespace(topic)
        if namespace not in best or _preference(connection) < _preference(best[namespace]):
            best[namespace] = connection
    return tuple(connection.topic for connection in best.values())


def _preference(connection: Connection) -> tuple[bool, bool, str]:
    return connection.msgtype != kinds.IMAGE, "image_raw" not in connection.topic, connection.topic


def _shows_camera_pixels(reader: Reader, connection: Connection) -> bool:
    """Whether its first message has an encoding that we can serve; depth images, for example, have not."""
    _, _, data = next(iter(reader.messages([connection])))
    return RecordedImage.from_message(_deserialize(data, connection)).is_supported()


def _class_names(reader: Reader, topics: Sequence[str]) -> dict[int, str]:
    wanted = {beside(topic, LABEL_INFO) for topic in topics}
    connections = [c for c in reader.connections if c.topic in wanted and c.msgtype == kinds.LABEL_INFO]
    if not connections:
        return {}
    for connection, _, data in reader.messages(connections):
        return {int(c.class_id): str(c.class_name) for c in _deserialize(data, connection).class_map}
    return {}


def _deserialize(data: bytes, connection: Connection) -> Any:
    return kinds.typestore().deserialize_cdr(data, connection.msgtype)


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
            message = _deserialize(data, connection)
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec or time_ns
            key = (cameras.get(connection.topic, connection.topic), stamp_ns)
            if connection.topic in self.bag.topics:
                self._note(key)
                image = RecordedImage.from_message(message)
                self.waiting[key] = BagFrame(key[0], stamp_ns, time_ns, image)
            elif connection.msgtype == kinds.DETECTIONS:
                self.boxes[key] = boxes_from_message(message, ids_by_name)
            elif connection.msgtype == kinds.IMAGE:
                self.labels[key] = RecordedImage.from_message(message).label()
            yield from self._ready(expects)
            for store in (self.labels, self.boxes):
                while len(store) > _WINDOW:
                    store.popitem(last=False)
        while self.waiting:
            yield self._take()

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
