"""Which image topics of a bag are cameras that the node can serve, and why the others are not."""

from __future__ import annotations

from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import BagError
from ..topics import LABEL, image_namespace
from . import message_types as kinds
from .recorded_image import RecordedImage


def image_topics(reader: Reader) -> dict[str, Connection]:
    """Every topic of type Image or CompressedImage."""
    types = (kinds.IMAGE, kinds.COMPRESSED_IMAGE)
    return {c.topic: c for c in reader.connections if c.msgtype in types}


def cameras_of(reader: Reader, path: Path) -> tuple[str, ...]:
    """One image topic for each namespace: image_raw, else the first raw, else the first compressed.

    Raises:
        BagError: there is none; says why each image topic is none.
    """
    best: dict[str, Connection] = {}
    passed_over: dict[str, str] = {}
    for topic, connection in sorted(image_topics(reader).items()):
        if reason := _why_not(reader, connection):
            passed_over[topic] = reason
            continue
        namespace = image_namespace(topic)
        if namespace not in best or _preference(connection) < _preference(best[namespace]):
            best[namespace] = connection
    if not best:
        raise BagError(f"{path}: {_nothing(reader, passed_over)}")
    return tuple(connection.topic for connection in best.values())


def _nothing(reader: Reader, passed_over: dict[str, str]) -> str:
    if passed_over:
        reasons = "; ".join(f"{topic}: {reason}" for topic, reason in passed_over.items())
        return f"no image topic of this bag can be used as a camera: {reasons}"
    have = ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections) or "nothing"
    return f"no camera topic (Image or CompressedImage) in this bag; it holds {have}"


def _preference(connection: Connection) -> tuple[bool, bool, str]:
    return connection.msgtype != kinds.IMAGE, "image_raw" not in connection.topic, connection.topic


def _why_not(reader: Reader, connection: Connection) -> str:
    """Why a topic is no camera, by its name and first message; empty if it is one."""
    if not connection.msgcount:
        return "no messages"
    if connection.topic.endswith(f"/{LABEL}"):
        return "it holds labels"
    if "/perception/" in connection.topic:
        return "it is a perception node's result"
    _, _, data = next(iter(reader.messages([connection])))
    return RecordedImage.from_message(kinds.deserialize(data, connection.msgtype)).problem()
