"""Detections, and the way from the graph's fixed-size box outputs to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .geometry import Letterbox


@dataclass(frozen=True)
class Detection:
    """One object: `box` x1,y1,x2,y2 in camera pixels, `score` 0..1, `label` class id."""

    box: tuple[float, float, float, float]
    score: float
    label: int


def decode(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    labels: NDArray[Any],
    letterbox: Letterbox,
    score_threshold: float,
    class_count: int,
) -> tuple[Detection, ...]:
    """Turn one picture's graph outputs into detections in camera pixels, best first.

    Left out are scores below the threshold, labels that are no class (padding), boxes that are not finite and
    boxes of which nothing lies inside the picture.

    Args:
        boxes: float32 [K,4] x1,y1,x2,y2 in input pixels.
        scores: float32 [K].
        labels: int [K].
        letterbox: where the picture lies in the input.
        score_threshold: lowest score to keep.
        class_count: valid labels are 0..class_count-1.
    """
    keep = (scores >= score_threshold) & (labels >= 0) & (labels < class_count)
    if not keep.any():
        return ()
    keep &= np.isfinite(boxes).all(axis=1)
    moved = letterbox.boxes_to_camera(boxes[keep])
    kept_scores, kept_labels = scores[keep], labels[keep]
    inside = (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])
    order = np.argsort(-kept_scores[inside], kind="stable")
    rows = zip(
        moved[inside][order].tolist(),
        kept_scores[inside][order].tolist(),
        kept_labels[inside][order].tolist(),
        strict=True,
    )
    return tuple(Detection((x1, y1, x2, y2), score, label) for (x1, y1, x2, y2), score, label in rows)


def iou_matrix(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Intersection over union of boxes [M,4] and [N,4] (x1,y1,x2,y2): float64 [M,N], 0 for empty ones."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    corner1 = np.maximum(a[:, None, :2], b[None, :, :2])
    corner2 = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(corner2 - corner1, 0.0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = area_a[:, None] + area_b[None, :] - overlap
    ratio: NDArray[np.float64] = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return ratio
