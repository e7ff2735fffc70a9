"""Scores of masks and boxes in numpy: mean IoU from one confusion matrix, COCO average precision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .vision.boxes import iou_matrix

# COCO's evaluation constants (cocoapi, PythonAPI/pycocotools/cocoeval.py, class Params).
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
IGNORED_ID = "ignore"  # id of a labelled Detection2D in which a detection counts for nothing
LOWEST_SCORE = 0.01  # average precision needs the detections that a vehicle would not publish


class ConfusionMatrix:
    """Counts of (labelled class, perceived class) over all pixels given so far."""

    def __init__(self, class_count: int) -> None:
        self.class_count = class_count
        self.matrix: NDArray[np.int64] = np.zeros((class_count, class_count), np.int64)

    def update(self, label: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """Add one picture.

        Args:
            label: uint8 [H,W] true class ids; pixels whose id is no class are void and ignored.
            mask: uint8 [H,W] perceived class ids.

        Raises:
            ValueError: the shapes differ, or the mask holds an id that is no class where the label is one.
        """
        if label.shape != mask.shape:
            raise ValueError(f"label {list(label.shape)} and mask {list(mask.shape)} differ in shape")
        count = self.class_count
        # One table of 256 x 256 pairs: cheaper than selecting the valid pixels first.
        codes = label.astype(np.uint16) << 8 | mask
        pairs = np.bincount(codes.ravel(), minlength=1 << 16).reshape(256, 256)
        if pairs[:count, count:].any():
            wrong = int(np.flatnonzero(pairs[:count].any(axis=0))[-1])
            raise ValueError(f"mask holds id {wrong}, but there are {count} classes")
        self.matrix += pairs[:count, :count]

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union by class: see `iou_from_confusion`."""
        return iou_from_confusion(self.matrix)

    def miou(self) -> float:
        """Mean of `iou()` over the classes that occur; nan before any labelled pixel."""
        iou = self.iou()
        return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")

    def pixel_accuracy(self) -> float:
        """Share of labelled pixels whose class was perceived; nan before any."""
        total = int(self.matrix.sum())
        return float(np.trace(self.matrix) / total) if total else float("nan")


def iou_from_confusion(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU by class, float64 [C], from counts [C,C]; nan for a class neither labelled nor perceived."""
    hits = np.diag(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hits
    result: NDArray[np.float64] = np.full(len(matrix), np.nan)
    np.divide(hits, union, out=result, where=union > 0)
    return result


@dataclass(frozen=True)
class BoxScores:
    """Average precision, nan where no box was labelled.

    Attributes:
        map: mean over IoU 0.50:0.05:0.95 and classes.
        map50: mean over classes at IoU 0.50.
        by_class: class id -> AP over 0.50:0.95, for the classes that have labelled boxes.
    """

    map: float
    map50: float
    by_class: dict[int, float]


@dataclass(frozen=True)
class _Matches:
    """One picture and class.

    Attributes:
        scores: float64 [D], best first.
        hits: bool [10,D], by IoU threshold whether each hit.
        counts: bool [10,D], false for what missed within an ignored region.
    """

    scores: NDArray[np.float64]
    hits: NDArray[np.bool_]
    counts: NDArray[np.bool_]


class AveragePrecision:
    """COCO's bounding-box average precision: all areas, 100 detections a picture and class."""

    def __init__(self, class_ids: Sequence[int]) -> None:
        self.class_ids = tuple(class_ids)
        self._matches: dict[int, list[_Matches]] = {label: [] for label in self.class_ids}
        self._labelled: dict[int, int] = dict.fromkeys(self.class_ids, 0)

    def update(
        self,
        boxes: NDArray[np.floating],
        scores: NDArray[np.floating],
        labels: NDArray[np.integer],
        true_boxes: NDArray[np.floating],
        true_labels: NDArray[np.integer],
        ignored: NDArray[np.floating] | None = None,
        ignored_labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Add one picture.

        Args:
            boxes: detected, float [D,4] x1,y1,x2,y2.
            scores: float [D].
            labels: int [D] class ids.
            true_boxes: float [G,4].
            true_labels: int [G].
            ignored: float [I,4], regions (COCO's crowds) in which a detection counts for nothing.
            ignored_labels: int [I], of which class they are so.
        """
        boxes, true_boxes = np.reshape(boxes, (-1, 4)), np.reshape(true_boxes, (-1, 4))
        regions = np.zeros((0, 4)) if ignored is None else np.reshape(ignored, (-1, 4))
        region_labels = np.zeros(0, int) if ignored_labels is None else np.asarray(ignored_labels)
        for class_id in self.class_ids:
            mine = np.asarray(labels) == class_id
            found, found_scores = boxes[mine], np.asarray(scores, np.float64)[mine]
            best = np.argsort(-found_scores, kind="stable")[:MAX_DETECTIONS]
            wanted = true_boxes[np.asarray(true_labels) == class_id]
            self._labelled[class_id] += len(wanted)
            if len(best):
                hits = match(iou_matrix(found[best], wanted))
                within = share_within(found[best], regions[region_labels == class_id])
                counts = hits | (within < np.array(IOU_THRESHOLDS)[:, None])
                self._matches[class_id].append(_Matches(found_scores[best], hits, counts))

    def compute(self) -> BoxScores:
        """Average precision of everything given so far."""
        by_class = {
            class_id: _precision_by_threshold(self._matches[class_id], self._labelled[class_id])
            for class_id in self.class_ids
            if self._labelled[class_id]
        }
        if not by_class:
            return BoxScores(float("nan"), float("nan"), {})
        table = np.array(list(by_class.values()))
        means = {class_id: float(row.mean()) for class_id, row in by_class.items()}
        return BoxScores(float(table.mean()), float(table[:, 0].mean()), means)


def share_within(boxes: NDArray[np.floating], regions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Largest share of each box float [D,4] that lies within one of the regions float [I,4]: float64 [D]."""
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(2)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)[:, None]
    return np.asarray((overlap / np.maximum(area, 1e-12)).max(axis=1, initial=0.0), np.float64)


def match(ious: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Greedy matching: each detection, best first, takes the free label that it overlaps most.

    Args:
        ious: float64 [D,G], detections best first.

    Returns:
        bool [10,D]: by IoU threshold, whether the detection found a label.
    """
    detections, labels = ious.shape
    hits = np.zeros((len(IOU_THRESHOLDS), detections), bool)
    if not labels:
        return hits
    for row, threshold in enumerate(IOU_THRESHOLDS):
        free = np.ones(labels, bool)
        for index in range(detections):
            candidates = np.where(free, ious[index], -1.0)
            best = labels - 1 - int(np.argmax(candidates[::-1]))  # of equals the last, as cocoapi does
            if candidates[best] >= min(threshold, 1 - 1e-10):
                free[best] = False
                hits[row, index] = True
    return hits


def _precision_by_threshold(matches: Sequence[_Matches], labelled: int) -> NDArray[np.float64]:
    """COCO's 101-point interpolated precision by IoU threshold: float64 [10]."""
    if not matches:
        return np.zeros(len(IOU_THRESHOLDS))
    order = np.argsort(-np.concatenate([item.scores for item in matches]), kind="stable")
    hits = np.concatenate([item.hits for item in matches], axis=1)[:, order]
    counted = np.cumsum(np.concatenate([item.counts for item in matches], axis=1)[:, order], axis=1)
    true = np.cumsum(hits, axis=1, dtype=np.float64)
    recall = true / labelled
    precision = true / np.maximum(counted, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    result: NDArray[np.float64] = np.zeros(len(IOU_THRESHOLDS))
    for row in range(len(IOU_THRESHOLDS)):
        places = np.searchsorted(recall[row], RECALL_POINTS, side="left")
        reached = places < hits.shape[1]
        result[row] = envelope[row, places[reached]].sum() / len(RECALL_POINTS)
    return result
