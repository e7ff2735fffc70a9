"""Which image topics of a bag are cameras that the node can serve, and why the others are not."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import BagError
from ..topics import LABEL, image_namespace
from ..vision.color import shares_colours
from . import message_types as kinds
from .opening import messages
from .recorded_image import RecordedImage

_log = logging.getLogger(__name__)

_FIRST = 5  # messages to look at: a driver may begin with an empty picture
_RESULT = re.compile(r".*/perception/(mask|confidence|mask_color|overlay)(/compressed)?")  # the node's images
_COLOUR = re.compile(r"bgr|rgb|8UC[34]")  # in an encoding, or in image_transport's format
_DEPTH = re.compile(r"16UC1|32FC1|.*compressedDepth")  # REP 118


@dataclass(frozen=True)
class _ImageTopic:
    """What a topic's name and first messages show.

    reason: why it is no camera, empty if it is one; expected: nobody would take it for one; colour: its
    pictures are known to have three or four channels.
    """

    connection: Connection
    reason: str = ""
    expected: bool = False
    colour: bool = False


def image_topics(reader: Reader) -> dict[str, Connection]:
    """Every topic of type Image or CompressedImage."""
    types = (kinds.IMAGE, kinds.COMPRESSED_IMAGE)
    return {c.topic: c for c in reader.connections if c.msgtype in types}


def cameras_of(reader: Reader, path: Path) -> tuple[str, ...]:
    """One image topic for each namespace: one of colour, else raw, else image_raw, else the first by name.

    Logs which topics are passed over, but for labels, results, depth and the other form of one taken.

    Raises:
        BagError: there is none; says why each image topic is none.
    """
    found = [_look(reader, connection) for _, connection in sorted(image_topics(reader).items())]
    best: dict[str, _ImageTopic] = {}
    for topic in found:
        if not topic.reason:
            namespace = image_namespace(topic.connection.topic)
            best[namespace] = min(best.get(namespace, topic), topic, key=_preference)
    if not best:
        raise BagError(f"{path}: {_nothing(reader, found)}")
    taken = {namespace: topic.connection.topic for namespace, topic in best.items()}
    _tell_passed_over(path, found, taken)
    return tuple(taken.values())


def check_namespaces(path: Path, topics: Sequence[str]) -> None:
    """Refuse two image topics of one namespace: a label or a result there could be either's.

    Raises:
        BagError: naming both.
    """
    first: dict[str, str] = {}
    for topic in topics:
        namespace = image_namespace(topic)
        if (other := first.setdefault(namespace, topic)) != topic:
            raise BagError(
                f"{path}: {other} and {topic} share the namespace '{namespace or '/'}', so their labels and "
                "results would have the same names; name one of them with --topic ('topics' in a recipe)"
            )


def _nothing(reader: Reader, found: list[_ImageTopic]) -> str:
    if found:
        reasons = "; ".join(f"{topic.connection.topic}: {topic.reason}" for topic in found)
        return f"no image topic of this bag can be used as a camera: {reasons}"
    have = ", ".join(f"{c.topic} [{c.msgtype}]" for c in reader.connections) or "nothing"
    return f"no camera topic (Image or CompressedImage) in this bag; it holds {have}"


def _tell_passed_over(path: Path, found: list[_ImageTopic], taken: dict[str, str]) -> None:
    """Log each topic that somebody could miss. taken: by namespace."""
    pictures = {_transported(topic) for topic in taken.values()}
    for topic in found:
        name = topic.connection.topic
        if topic.expected or _transported(name) in pictures:
            continue
        other = taken.get(image_namespace(name))
        reason = topic.reason or (
            f"{other} of the same namespace is taken; --topic chooses ('topics' in a recipe)"
        )
        _log.warning("%s: %s is passed over: %s", path, name, reason)


def _transported(topic: str) -> str:
    """The topic whose pictures image_transport sends on this one."""
    return topic.removesuffix("/compressed")


def _preference(topic: _ImageTopic) -> tuple[bool, bool, bool, str]:
    name, kind = topic.connection.topic, topic.connection.msgtype
    return not topic.colour, kind != kinds.IMAGE, "image_raw" not in name, name


def _look(reader: Reader, connection: Connection) -> _ImageTopic:
    if _transported(connection.topic).endswith(f"/{LABEL}"):
        return _ImageTopic(connection, "it holds labels", expected=True)
    if _RESULT.fullmatch(connection.topic):
        return _ImageTopic(connection, "it is a perception node's result", expected=True)
    reason, kind = "no messages", ""
    for _, _, _, data in islice(messages(reader, [connection]), _FIRST):
        image = RecordedImage.from_message(kinds.deserialize(data, connection.msgtype))
        reason, kind = image.problem(), image.format or image.encoding
        if not reason:
            colour = _COLOUR.search(kind) is not None or shares_colours(image.encoding)
            return _ImageTopic(connection, colour=colour)
    return _ImageTopic(connection, reason, expected=_DEPTH.match(kind) is not None)
