"""Names: which topics of a bag belong to one camera, and which can be played."""

from __future__ import annotations

import re

from ..errors import ReplayError
from ..ros.topics import image_namespace, is_compressed

LABEL = "label"
BOXES = "boxes"
LABEL_INFO = "label_info"

_ROS_NAME = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)


def is_ros_name(topic: str) -> bool:
    """Whether ROS takes this as an absolute topic name.

    >>> is_ros_name("/camera/front/image_raw"), is_ros_name("/camera front/image-raw")
    (True, False)
    """
    return _ROS_NAME.fullmatch(topic) is not None


def played_topic(topic: str, compressed: bool) -> str:
    """The topic to play a bag's images on: a node knows compressed pictures by their name's ending.

    >>> played_topic("/camera/front/jpeg", compressed=True)
    '/camera/front/jpeg/compressed'
    >>> played_topic("/camera/front/image_raw/compressed", compressed=False)
    '/camera/front/image_raw'

    Raises:
        ReplayError: ROS would not take the name.
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


def beside(image_topic: str, name: str) -> str:
    """A topic in the image topic's namespace.

    >>> beside("/camera/front/image_raw", "label")
    '/camera/front/label'
    """
    return f"{image_namespace(image_topic)}/{name}"
