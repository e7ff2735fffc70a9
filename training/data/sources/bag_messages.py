"""The messages of a labelled bag: pictures, masks, boxes, class names, decoded without ROS.

`rosbags` knows ROS 2's standard messages; those of vision_msgs (its branch ros2) are defined here, since the
runtime's copies are not training's to import.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from distill_perception.errors import ImageError
from distill_perception.metrics import IGNORED_ID
from distill_perception.vision.color import convert
from distill_perception.vision.picture import compressed_problem, decode_compressed, raw_problem, view_raw
from training.errors import TrainingError

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LABEL_INFO = "vision_msgs/msg/LabelInfo"

DEFINITIONS: dict[str, str] = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose",
    "Detection2D": "std_msgs/Header header\nObjectHypothesisWithPose[] results\n"
    "BoundingBox2D bbox\nstring id",
    "Detection2DArray": "std_msgs/Header header\nDetection2D[] detections",
    "VisionClass": "uint16 class_id\nstring class_name",
    "LabelInfo": "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold",
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """ROS 2's message types and vision_msgs'."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for name, text in DEFINITIONS.items():
        types.update(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    store.register(types)
    return store


def stamp_ns(data: bytes | memoryview, recorded_ns: int) -> int:
    """The header stamp of a CDR message that begins with a header; the recording time if it is zero."""
    order = "<" if data[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    return int(seconds * 10**9 + nanoseconds) or recorded_ns


def is_colour(message: Any) -> bool:
    """Whether an image message holds a camera picture, rather than depth, say."""
    if hasattr(message, "format"):
        return not compressed_problem(str(message.format))
    return not raw_problem(str(message.encoding))


def rgb_of(message: Any, where: str) -> NDArray[np.uint8]:
    """The pixels of an Image or CompressedImage as uint8 [H,W,3] RGB.

    Raises:
        TrainingError: an encoding that is not known, too little data, or bytes that are no picture.
    """
    try:
        if hasattr(message, "format"):
            pixels, encoding = decode_compressed(message.data, str(message.format)), "bgr8"
        else:
            pixels, encoding = _view(message, str(message.encoding)), str(message.encoding)
    except ImageError as error:
        raise TrainingError(f"{where}: {error}") from error
    return np.ascontiguousarray(convert(pixels, encoding, "rgb"))


def ids_of(message: Any, where: str) -> NDArray[np.uint8]:
    """A label's class ids, uint8 [H,W].

    Raises:
        TrainingError: not a mono8 image.
    """
    if getattr(message, "encoding", "") not in ("mono8", "8UC1"):
        found = getattr(message, "encoding", "a compressed image")
        raise TrainingError(f"{where}: a label must be a mono8 image of class ids, found {found}")
    try:
        return np.array(_view(message, "mono8"))
    except ImageError as error:
        raise TrainingError(f"{where}: {error}") from error


def _view(message: Any, encoding: str) -> NDArray[np.uint8]:
    return view_raw(int(message.height), int(message.width), encoding, int(message.step), message.data)


def boxes_of(message: Any, ignored: bool = False) -> tuple[list[list[float]], list[str]]:
    """Corners x1, y1, x2, y2 and the most likely class, as written, of each box or region to ignore."""
    corners, classes = [], []
    for detection in message.detections:
        if len(detection.results) and (detection.id == IGNORED_ID) == ignored:
            best = max(detection.results, key=lambda result: result.hypothesis.score)
            centre, box = detection.bbox.center.position, detection.bbox
            x, y, right, down = centre.x, centre.y, box.size_x / 2, box.size_y / 2
            corners.append([x - right, y - down, x + right, y + down])
            classes.append(str(best.hypothesis.class_id))
    return corners, classes
