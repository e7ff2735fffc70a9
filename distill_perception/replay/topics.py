"""On which topics a bag's cameras are played."""

from __future__ import annotations

from ..bags.message_types import COMPRESSED_IMAGE
from ..bags.reader import Bag
from ..errors import ReplayError
from ..topics import is_compressed, is_ros_name


def played_topics(bag: Bag) -> dict[str, str]:
    """The topic to play each of a bag's image topics on.

    Raises:
        ReplayError: ROS would not take a topic's name.
    """
    types = zip(bag.topics, bag.kinds, strict=True)
    return {topic: _played_topic(topic, kind == COMPRESSED_IMAGE) for topic, kind in types}


def _played_topic(topic: str, compressed: bool) -> str:
    """A node knows compressed pictures by their name's ending.

    >>> _played_topic("/camera/front/jpeg", compressed=True)
    '/camera/front/jpeg/compressed'
    >>> _played_topic("/camera/front/image_raw/compressed", compressed=False)
    '/camera/front/image_raw'
    """
    named = topic if is_compressed(topic) == compressed else _renamed(topic)
    if not is_ros_name(named) or is_compressed(named) != compressed:
        raise ReplayError(
            f"image topic '{topic}' has a name that no node can subscribe to; replay without ROS with "
            "--in-process, or record it as, for example, /camera/front/image_raw"
        )
    return named


def _renamed(topic: str) -> str:
    return topic.removesuffix("/compressed") if is_compressed(topic) else f"{topic}/compressed"
