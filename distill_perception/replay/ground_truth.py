"""Labelled boxes as plain arrays, and their form as vision_msgs.

A Detection2D with the id "ignore" is a region of its class in which nobody told the objects apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics import IGNORED_ID

Corners = tuple[list[float], int]  # x1, y1, x2, y2; class id
_Row = tuple[list[float], float, int]  # corners, score, class id


@dataclass(frozen=True)
class Boxes:
    """xyxy: float64 [N,4] camera pixels (x1,y1,x2,y2); labels: int64 [N] class ids.

    ignored, ignored_labels: float64 [I,4] and int64 [I], regions (COCO's crowds) in which a detection of that
    class counts for nothing.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    ignored_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.labels)


def box_center(xyxy: np.ndarray) -> tuple[float, float, float, float]:
    """Corners [4] as centre x, centre y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def detection_rows(detections: Iterable[Any], ids_by_name: dict[str, int]) -> list[_Row]:
    """Corners, score and class id of each Detection2D (rclpy's or rosbags').

    A class id is a number or, for bags of other makers, a name in `ids_by_name`; any other class gets id -1,
    which evaluation refuses.
    """
    rows = []
    for detection in detections:
        if not len(detection.results):
            continue
        best = max(detection.results, key=lambda result: result.hypothesis.score)
        text = best.hypothesis.class_id
        class_id = int(text) if text.isdigit() else ids_by_name.get(text, -1)
        centre, box = detection.bbox.center.position, detection.bbox
        half_width, half_height = box.size_x / 2, box.size_y / 2
        corners = [
            centre.x - half_width,
            centre.y - half_height,
            centre.x + half_width,
            centre.y + half_height,
        ]
        rows.append((corners, float(best.hypothesis.score), class_id))
    return rows


def boxes_from_message(message: Any, ids_by_name: dict[str, int]) -> Boxes:
    """Labelled boxes from a Detection2DArray."""
    single = [item for item in message.detections if item.id != IGNORED_ID]
    regions = [item for item in message.detections if item.id == IGNORED_ID]
    objects, ignored = (
        [(corners, class_id) for corners, _, class_id in detection_rows(items, ids_by_name)]
        for items in (single, regions)
    )
    return make_boxes(objects, ignored)


def make_boxes(objects: list[Corners], ignored: list[Corners]) -> Boxes:
    """From lists of corners with class ids."""
    return Boxes(*_arrays(objects), *_arrays(ignored))


def _arrays(rows: list[Corners]) -> tuple[np.ndarray, np.ndarray]:
    """Corners float64 [N,4] and class ids int64 [N]."""
    corners = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    return corners, np.array([row[1] for row in rows], np.int64)
