"""What the class ids of a bag's labels mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rosbags.rosbag2 import Reader

from ..errors import BagError
from ..topics import LABEL_INFO, beside
from . import message_types as kinds
from .opening import messages


def class_names(path: Path, reader: Reader, image_topics: Sequence[str]) -> dict[int, str]:
    """Names by class id, of the first label_info of each camera; empty where none names any.

    Raises:
        BagError: the ids of two cameras mean different classes.
    """
    places = [beside(topic, LABEL_INFO) for topic in image_topics]
    named = [(place, names) for place in places if (names := _first_names(reader, place))]
    for other in named[1:]:
        _check_same(path, named[0], other)
    return named[0][1] if named else {}


def _first_names(reader: Reader, topic: str) -> dict[int, str]:
    connections = [c for c in reader.connections if c.topic == topic and c.msgtype == kinds.LABEL_INFO]
    for connection, _, _, data in islice(messages(reader, connections), 1):
        classes = kinds.deserialize(data, connection.msgtype).class_map
        return {int(c.class_id): str(c.class_name) for c in classes}
    return {}


def _check_same(path: Path, one: tuple[str, dict[int, str]], other: tuple[str, dict[int, str]]) -> None:
    """One evaluation or training knows one meaning of an id. Void may be named or not."""
    (place, mine), (other_place, others) = one, other
    ids = sorted(mine.keys() | others.keys())
    pairs = [(key, mine.get(key, "not there"), others.get(key, "not there")) for key in ids]
    for key, name, other_name in pairs:
        if name != other_name and {name, other_name} != {"void", "not there"}:
            raise BagError(
                f"{path}: {place} and {other_place} name different classes: class id {key} is '{name}' on "
                f"the one and '{other_name}' on the other; take one of these cameras with --topic ('topics' "
                "in a recipe), or leave the labels out (replay: --no-labels)"
            )
