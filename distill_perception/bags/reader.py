"""Read a bag as a stream of camera frames with labels and boxes of the same stamp; memory stays bounded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import BagError, ImageError
from ..topics import BOXES, LABEL, beside
from . import message_types as kinds
from .camera_topics import cameras_of, check_namespaces, image_topics
from .ground_truth import Boxes, boxes_from_message, number_or_name
from .label_info import class_names
from .mask_spool import Key, MaskSpool
from .opening import messages, opened
from .recorded_image import RecordedImage

_log = logging.getLogger(__name__)

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

    truth_times: recording times by stamp, both in nanoseconds, of each label and box topic that has messages;
    image_times: the same of the image topics, empty unless asked for.
    """

    path: Path
    topics: tuple[str, ...]
    kinds: tuple[str, ...]
    frame_count: int
    truth_times: dict[str, dict[int, int]]
    image_times: dict[str, dict[int, int]]
    class_names: dict[int, str]

    def frames(self, *, truth: bool = True) -> Iterator[BagFrame]:
        """Stream the chosen topics' frames in recorded order, with labels and boxes if `truth`.

        Raises:
            BagError: the bag is damaged or holds an image or label that cannot be read.
        """
        seen: set[Key] = set()
        with opened(self.path) as reader, MaskSpool() as labels:
            beside_images = _Truth(self, labels)
            images = _images(reader, self.topics, self.kinds)
            for connection, stamp_ns, time_ns, data in messages(reader, images):
                if (key := (connection.topic, stamp_ns)) in seen:
                    raise _same_stamp(self.path, *key)
                seen.add(key)
                label, boxes = (
                    beside_images.take(connection.topic, name, stamp_ns) if truth else None for name in _TRUTH
                )
                image = RecordedImage.from_message(kinds.deserialize(data, connection.msgtype))
                yield BagFrame(connection.topic, stamp_ns, time_ns, image, label, boxes)


def open_bag(
    path: Path,
    topics: Sequence[str] = (),
    truth: bool = True,
    index_images: bool = False,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Bag:
    """Look into a bag and choose its image topics.

    Args:
        path: a rosbag2 folder, or a .mcap or .db3 file.
        topics: image topics to use, each of another namespace; by default one for each.
        truth: False takes the bag for one without labels and boxes.
        index_images: look through the images too, for who asks for single frames.
        tell: called with how many messages have been looked at, and of how many.

    Raises:
        BagError: no bag, a damaged bag, no image topic that can be used, or no messages in it; or what is
            beside the images is ambiguous: two topics of one namespace, two labels (or, if looked through,
            images) of one stamp, cameras with different classes.
    """
    with opened(path) as reader:
        images = image_topics(reader)
        chosen = tuple(dict.fromkeys(topics)) or cameras_of(reader, path)
        unknown = [topic for topic in chosen if topic not in images]
        if unknown:
            have = ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections)
            raise BagError(f"{path}: no image topic {unknown[0]} in this bag; it holds {have or 'nothing'}")
        check_namespaces(path, chosen)
        frame_count = sum(images[topic].msgcount for topic in chosen)
        if not frame_count:
            raise BagError(
                f"{path}: no messages on {', '.join(chosen)}; was the recording stopped too early?"
            )
        types = tuple(images[topic].msgtype for topic in chosen)
        _tell_passed_over(path, reader, chosen)
        names = class_names(path, reader, chosen) if truth else {}
        wanted = _truth(reader, chosen) if truth else []
        if index_images:
            wanted += _images(reader, chosen, types)
        times = _times(path, reader, wanted, chosen, tell)
        return Bag(
            path=path,
            topics=chosen,
            kinds=types,
            frame_count=frame_count,
            image_times={topic: times.pop(topic) for topic in chosen if topic in times},
            truth_times=times,
            class_names=names,
        )


def _images(reader: Reader, topics: Sequence[str], types: Sequence[str]) -> list[Connection]:
    wanted = set(zip(topics, types, strict=True))
    return [c for c in reader.connections if (c.topic, c.msgtype) in wanted]


def _truth(reader: Reader, topics: Sequence[str]) -> list[Connection]:
    """The labels and boxes beside these image topics."""
    places = {beside(topic, name): kind for topic in topics for name, kind in _TRUTH.items()}
    return [c for c in reader.connections if places.get(c.topic) == c.msgtype and c.topic not in topics]


def _times(
    path: Path,
    reader: Reader,
    connections: list[Connection],
    image_topics: Sequence[str],
    tell: Callable[[int, int], None],
) -> dict[str, dict[int, int]]:
    """Recording times by topic and stamp."""
    times: dict[str, dict[int, int]] = {}
    total = sum(connection.msgcount for connection in connections)
    for done, (connection, stamp_ns, time_ns, _) in enumerate(messages(reader, connections), start=1):
        tell(done, total)
        of_topic = times.setdefault(connection.topic, {})
        if stamp_ns in of_topic:
            same_stamp = _same_stamp if connection.topic in image_topics else _same_label_stamp
            raise same_stamp(path, connection.topic, stamp_ns)
        of_topic[stamp_ns] = time_ns
    return times


def _same_stamp(path: Path, topic: str, stamp_ns: int) -> BagError:
    """Two images of one stamp are refused: a label or an answer could be either's."""
    return BagError(
        f"{path}: two images on {topic} have the stamp {_seconds(stamp_ns)} s, "
        "so their labels cannot be told apart; record it again with a driver that stamps each image"
    )


def _same_label_stamp(path: Path, topic: str, stamp_ns: int) -> BagError:
    """Two labels of one stamp are refused: the scores would be those of either."""
    return BagError(
        f"{path}: two labels on {topic} have the stamp {_seconds(stamp_ns)} s, so which of them is the "
        "image's cannot be told; write one label for each image, or leave the labels out "
        "(replay: --no-labels)"
    )


def _seconds(stamp_ns: int) -> str:
    """All nine digits, which a float has not."""
    seconds, rest_ns = divmod(stamp_ns, 10**9)
    return f"{seconds}.{rest_ns:09}"


def _tell_passed_over(path: Path, reader: Reader, topics: Sequence[str]) -> None:
    """Log what lies where labels or boxes do and is of another type."""
    wanted = {beside(topic, name): kind for topic in topics for name, kind in _TRUTH.items()}
    for connection in reader.connections:
        kind = wanted.get(connection.topic, connection.msgtype)
        if connection.msgtype != kind and connection.topic not in topics:
            found = f"{connection.topic} is passed over: it is {connection.msgtype}"
            _log.warning("%s: %s, labels there are %s", path, found, kind)


class _Truth:
    """Labels and boxes by topic and stamp, read no further than frames ask for them.

    Recorders write them late and cameras mix, so what is passed on the way to a frame's own is kept: boxes in
    memory, labels in a file.
    """

    def __init__(self, bag: Bag, labels: MaskSpool) -> None:
        self._bag, self._labels = bag, labels
        self._boxes: dict[Key, Boxes] = {}
        self._messages = self._read()

    def take(self, image_topic: str, name: str, stamp_ns: int) -> Any:
        """The frame's label (uint8 [H,W]) or boxes; None if it has none. To be asked once for each."""
        key = (beside(image_topic, name), stamp_ns)
        if stamp_ns not in self._bag.truth_times.get(key[0], {}):
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
        class_id = number_or_name(self._bag.class_names)
        with opened(self._bag.path) as reader:
            for connection, stamp_ns, _, data in messages(reader, _truth(reader, self._bag.topics)):
                key, message = (connection.topic, stamp_ns), kinds.deserialize(data, connection.msgtype)
                if connection.msgtype == kinds.DETECTIONS:
                    yield key, boxes_from_message(message, class_id)
                else:
                    yield key, label_of(message, self._bag.path, *key)


def label_of(message: Any, path: Path, topic: str, stamp_ns: int) -> np.ndarray:
    """A label's class ids, uint8 [H,W].

    Raises:
        BagError: it is no mono8 image; says which of the bag.
    """
    try:
        return RecordedImage.from_message(message).label()
    except ImageError as error:
        raise BagError(f"{path}, {topic} at {stamp_ns / 1e9:.3f} s: {error}") from error
