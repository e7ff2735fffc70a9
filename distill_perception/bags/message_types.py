"""The message types that a labelled bag holds, for reading and writing bags without ROS installed.

rosbags knows the standard messages; `vision_msgs` is registered here from its `.msg` files, which lie in
this project's `interfaces/` and, on a ROS machine, in the share folder of the `vision_msgs` package.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ..errors import BagError
from ..share import share_path

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LABEL_INFO = "vision_msgs/msg/LabelInfo"

_VISION_MSGS = (
    "Point2D",
    "Pose2D",
    "BoundingBox2D",
    "ObjectHypothesis",
    "ObjectHypothesisWithPose",
    "Detection2D",
    "Detection2DArray",
    "VisionClass",
    "LabelInfo",
)


def _definition_folders() -> list[Path]:
    """Folders that may hold vision_msgs' .msg files, the apt package's first."""
    folders = []
    try:
        from ament_index_python.packages import get_package_share_directory

        folders.append(Path(get_package_share_directory("vision_msgs")) / "msg")
    except Exception:  # no ament index, or no such package in it: both are ordinary
        pass
    try:
        root = share_path("interfaces")
        folders += [root / "vision_msgs" / "msg", root / "msg"]
    except Exception:  # this install carries no interfaces folder
        pass
    return folders


def stamp_ns(data: bytes | memoryview, recorded_ns: int) -> int:
    """The header stamp of a CDR message that begins with a header; the recording time if it is zero."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds * 10**9 + nanoseconds) or recorded_ns


def deserialize(data: bytes, kind: str) -> Any:
    """A message of a bag from its bytes."""
    return typestore().deserialize_cdr(data, kind)


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Message types of ROS 2 plus vision_msgs.

    Raises:
        BagError: vision_msgs' definitions are nowhere to be found.
    """
    folders = _definition_folders()
    folder = next((f for f in folders if (f / "Detection2DArray.msg").is_file()), None)
    if folder is None:
        looked = ", ".join(str(f) for f in folders) or "nowhere to look"
        raise BagError(
            f"no message definitions of vision_msgs (looked in: {looked}); "
            "reinstall distill_perception, or install the ROS package vision_msgs"
        )
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for name in _VISION_MSGS:
        types.update(
            get_types_from_msg((folder / f"{name}.msg").read_text("utf8"), f"vision_msgs/msg/{name}")
        )
    store.register(types)
    return store
