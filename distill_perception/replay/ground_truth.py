"""Labelled boxes as plain arrays, and their form as vision_msgs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Boxes:
    """xyxy: float64 [N,4] camera pixels (x1,y1,x2,y2); labels: int64 [N] class ids."""

    xyxy: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def box_center(xyxy: np.ndarray) -> tuple[float, float, float, float]:
    """Corners [4] as centre x, centre y, width, height."""
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1


def detection_rows(message: Any, ids_by_name: dict[str, int]) -> list[tuple[list[float], float, int]]:
    """Corners, score and class id of each detection of a Detection2DArray (rclpy's or rosbags').

    A class id is a number or, for bags of other makers, a name in `ids_by_name`; any other class gets id -1,
    which evaluation refuses.
    """
    rows = []
    for detection in message.detections:
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
    rows = detection_rows(message, ids_by_name)
    return Boxes(
        np.array([corners for corners, _, _ in rows], np.float64).reshape(-1, 4),
        np.array([class_id for _, _, class_id in rows], np.int64),
    )
