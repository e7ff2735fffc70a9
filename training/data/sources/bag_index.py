"""What a labelled bag holds: its cameras, and where each frame's picture, label and boxes lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from training.data.sources.bag_messages import (
    COMPRESSED_IMAGE,
    DETECTIONS,
    IMAGE,
    LABEL_INFO,
    is_colour,
    stamp_ns,
    typestore,
)
from training.errors import TrainingError

LABEL, BOXES, INFO = "label", "boxes", "label_info"


@dataclass(frozen=True)
class BagFrame:
    """A picture: topic, header stamp; recording times of it, its label and its boxes (None: it has none)."""

    topic: str
    stamp_ns: int
    image_ns: int
    label_ns: int | None
    boxes_ns: int | None


@dataclass(frozen=True)
class BagIndex:
    """The frames in recorded order; names: class id -> name where the bag says them."""

    frames: tuple[BagFrame, ...]
    names: dict[int, str]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what `rosbags` raises on missing or damaged bags into TrainingError."""
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:  # struct, sqlite, zstd, yaml and rosbags' own errors
        raise TrainingError(
            f"{path} cannot be read as a bag, it is missing, cut off or damaged ({type(error).__name__}: "
            f"{error}); expected a rosbag2 folder: try 'ros2 bag reindex {path}'"
        ) from error


def namespace(topic: str) -> str:
    """The namespace of an image topic; labels and boxes are beside it."""
    return topic.removesuffix("/compressed").rpartition("/")[0]


def index_bag(path: Path, topics: Sequence[str]) -> BagIndex:
    """Look through a bag once.

    Args:
        topics: image topics to use; empty: one for each camera namespace, raw before compressed.

    Raises:
        TrainingError: no bag, no such topic, or no picture in it.
    """
    with readable(path), Reader(path) as reader:
        chosen = tuple(topics) or _cameras(reader)
        have = {connection.topic: connection for connection in reader.connections}
        for topic in chosen:
            if topic not in have or have[topic].msgtype not in (IMAGE, COMPRESSED_IMAGE):
                raise TrainingError(f"{path} has no image topic {topic}; it holds {_contents(reader)}")
        frames = _frames(reader, chosen)
        if not frames:
            raise TrainingError(f"{path} has no camera pictures; it holds {_contents(reader)}")
        return BagIndex(frames, _names(reader, chosen))


def _contents(reader: Reader) -> str:
    return ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections) or "nothing"


def _cameras(reader: Reader) -> tuple[str, ...]:
    best: dict[str, str] = {}
    images = [c for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED_IMAGE) and c.msgcount]
    for connection in sorted(images, key=lambda c: (c.msgtype != IMAGE, "image_raw" not in c.topic, c.topic)):
        topic = connection.topic
        if not topic.endswith(f"/{LABEL}") and "/perception/" not in topic:
            _, _, data = next(iter(reader.messages([connection])))
            if is_colour(typestore().deserialize_cdr(data, connection.msgtype)):
                best.setdefault(namespace(topic), topic)
    return tuple(sorted(best.values()))


def _frames(reader: Reader, topics: Sequence[str]) -> tuple[BagFrame, ...]:
    labels = {(LABEL, IMAGE), (BOXES, DETECTIONS)}  # other types by these names are somebody else's
    beside = {(f"{namespace(topic)}/{kind}", msgtype) for topic in topics for kind, msgtype in labels}
    wanted = [c for c in reader.connections if (c.topic, c.msgtype) in beside or c.topic in topics]
    times: dict[tuple[str, int], int] = {}
    pictures: list[tuple[str, int, int]] = []
    for connection, time_ns, data in reader.messages(wanted):
        stamp = stamp_ns(data, time_ns)
        if connection.topic in topics:
            pictures.append((connection.topic, stamp, time_ns))
        else:
            times[connection.topic, stamp] = time_ns
    return tuple(
        BagFrame(
            topic,
            stamp,
            time_ns,
            times.get((f"{namespace(topic)}/{LABEL}", stamp)),
            times.get((f"{namespace(topic)}/{BOXES}", stamp)),
        )
        for topic, stamp, time_ns in pictures
    )


def _names(reader: Reader, topics: Sequence[str]) -> dict[int, str]:
    wanted = {f"{namespace(topic)}/{INFO}" for topic in topics}
    found: list[Connection] = [c for c in reader.connections if c.topic in wanted and c.msgtype == LABEL_INFO]
    if not found:
        return {}
    for connection, _, data in reader.messages(found):
        message: Any = typestore().deserialize_cdr(data, connection.msgtype)
        return {int(item.class_id): str(item.class_name) for item in message.class_map}
    return {}
