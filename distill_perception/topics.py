"""From a camera's image topic to the names of what belongs to it: the node's results, a bag's labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .errors import ConfigError

LABEL = "label"
BOXES = "boxes"
LABEL_INFO = "label_info"

_COMPRESSED = "/compressed"
_ROS_NAME = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)


def is_ros_name(topic: str) -> bool:
    """Whether ROS takes this as an absolute topic name.

    >>> is_ros_name("/camera/front/image_raw"), is_ros_name("/camera front/image-raw")
    (True, False)
    """
    return _ROS_NAME.fullmatch(topic) is not None


def is_compressed(topic: str) -> bool:
    """Whether the topic carries ``sensor_msgs/CompressedImage`` (image_transport's naming)."""
    return topic.endswith(_COMPRESSED)


def image_namespace(topic: str) -> str:
    """Namespace of an absolute image topic.

    >>> image_namespace('/camera/front/image_raw')
    '/camera/front'
    >>> image_namespace('/camera/front/image_raw/compressed')
    '/camera/front'
    """
    return topic.removesuffix(_COMPRESSED).rpartition("/")[0]


def beside(image_topic: str, name: str) -> str:
    """A topic in the image topic's namespace.

    >>> beside("/camera/front/image_raw", "label")
    '/camera/front/label'
    """
    return f"{image_namespace(image_topic)}/{name}"


def result_topic(camera: str, result: str) -> str:
    """Name of one result of a camera: ``<namespace of the image>/perception/<result>``.

    >>> result_topic('/camera/front/image_raw', 'mask')
    '/camera/front/perception/mask'
    """
    return f"{image_namespace(camera)}/perception/{result}"


def check_cameras(topics: Sequence[str]) -> None:
    """Refuse camera lists whose results could not be told apart.

    Raises:
        ConfigError: the list is empty, names a topic twice, or two topics share a namespace.
    """
    if not topics:
        raise ConfigError("parameter 'cameras' is empty: name an image topic, e.g. ['/camera/image_raw']")
    shared = [space for space, count in Counter(map(image_namespace, topics)).items() if count > 1]
    if shared:
        clashing = [topic for topic in topics if image_namespace(topic) == shared[0]]
        raise ConfigError(
            f"cameras {clashing} share the namespace '{shared[0] or '/'}', so their results would be "
            "published on the same topics: give each camera its own, e.g. /camera/front/image_raw and "
            "/camera/rear/image_raw"
        )
