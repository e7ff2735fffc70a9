"""Labelled boxes as plain arrays, and their form as vision_msgs.

A Detection2D with the id "ignore" is a region of its class in which nobody told the objects apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..metrics import IGNORED_ID

Corners = tuple[list[float], int]  # x1, y1, x2, y2; class id
_Row = tuple[list[float], float, int]  # corners, score, class id
_UNKNOWN = -1
_LAST_ID = 255  # masks are uint8


@dataclass(frozen=True)
class Boxes:
    """xyxy: float64 [N,4] camera pixels (x1,y1,x2,y2); labels: int64 [N] class ids.

    ignored, ignored_labels: float64 [I,4] and int64 [I], regions (COCO's crowds) in which a detection of that
    class counts for nothing; unknown: classes without an id (then -1), as they were written.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    ignored_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    unknown: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def box_center(xyxy: np.ndarray) -> tuple[float, float, float, float]:
    """Corners [4] as centre x, centre y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def number_or_name(class_names: dict[int, str]) -> Callable[[str], int]:
    """From a class as a Detection2D has it to its id: a number or, for bags of other makers, a name.

    Any other class gets id -1, which evaluation refuses.
    """
    ids_by_name = {name: number for number, name in class_names.items()}

    def class_id(text: str) -> int:
        number = int(text) if text.isdecimal() else ids_by_name.get(text, _UNKNOWN)
        return number if number <= _LAST_ID else _UNKNOWN

    return class_id


def detection_rows(detections: Iterable[Any], class_id: Callable[[str], int]) -> list[_Row]:
    """Corners, score and class id of each Detection2D (rclpy's or rosbags')."""
    rows = []
    for detection in detections:
        if not len(detection.results):
            continue
        best = max(detection.results, key=lambda result: result.hypothesis.score)
        centre, box = detection.bbox.center.position, detection.bbox
        half_width, half_height = box.size_x / 2, box.size_y / 2
        corners = [
            centre.x - half_width,
            centre.y - half_height,
            centre.x + half_width,
            centre.y + half_height,
        ]
        rows.append((corners, float(best.hypothesis.score), class_id(best.hypothesis.class_id)))
    return rows


def boxes_from_message(message: Any, class_id: Callable[[str], int]) -> Boxes:
    """Labelled boxes from a Detection2DArray."""
    unknown: list[str] = []

    def noted(text: str) -> int:
        number = class_id(text)
        if number == _UNKNOWN:
            unknown.append(text)
        return number

    single = [item for item in message.detections if item.id != IGNORED_ID]
    regions = [item for item in message.detections if item.id == IGNORED_ID]
    objects, ignored = (
        [(corners, label) for corners, _, label in detection_rows(items, noted)]
        for items in (single, regions)
    )
    return replace(make_boxes(objects, ignored), unknown=tuple(unknown))


def make_boxes(objects: list[Corners], ignored: list[Corners]) -> Boxes:
    """From lists of corners with class ids."""
    return Boxes(*_arrays(objects), *_arrays(ignored))


def _arrays(rows: list[Corners]) -> tuple[np.ndarray, np.ndarray]:
    """Corners float64 [N,4] and class ids int64 [N]."""
    corners = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    return corners, np.array([row[1] for row in rows], np.int64)
