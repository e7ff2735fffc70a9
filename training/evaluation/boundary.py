"""Boundary F-score: are the contours where they should be?

Source: Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic segmentation?" (BMVC 2013,
https://doi.org/10.5244/C.27.32): per image and class F1 = 2PR/(P+R), P the share of the found contour within
a distance of the labelled one, R the share of the labelled contour within that distance of the found one;
the distance is 0.75 % of the image's diagonal; a class's score is the mean over the images that have it.
Where one of the contours is empty: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation" (CVPR 2016) with its code: an empty contour is precise (or recalled) in full.

Void, of which neither paper speaks: where the label meets void there is no contour. A contour found in void
may answer to one labelled beside it (recall), but what is found in void or within the distance of it is not
counted for precision, because the contour that it may answer to was not labelled.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

TOLERANCE = 0.0075
_ROUNDING = 1e-6  # a radius that should be whole, as 0.75 % of a diagonal of 2000, may come out a little less

Mask = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def contour(mask: Mask, valid: Flags) -> Flags:
    """Pixels with a neighbour (left, right, above, below) of another class, both valid: bool [H,W].

    Args:
        mask: uint8 [H,W] class ids. valid: bool [H,W]. The image's border is no contour.
    """
    edge = np.zeros(mask.shape, bool)
    across = (mask[:, 1:] != mask[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    down = (mask[1:] != mask[:-1]) & valid[1:] & valid[:-1]
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def near(points: Flags, distance: float) -> Flags:
    """Pixels within a Euclidean `distance` (in pixels, inclusive) of one of `points`: bool [H,W]."""
    if not points.any():
        return np.zeros(points.shape, bool)
    return np.asarray(cv2.dilate(points.astype(np.uint8), disk(distance)) > 0)


@cache
def disk(radius: float) -> Mask:
    """Whole-numbered offsets of length up to `radius`, as a structuring element uint8 [2r+1,2r+1]."""
    reach = int(radius + _ROUNDING)
    steps = np.arange(-reach, reach + 1)
    return (steps[:, None] ** 2 + steps**2 <= radius**2 + _ROUNDING).astype(np.uint8)


def boundary_f(
    prediction: Mask, label: Mask, classes: int, void_id: int, tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """F-score of each class in one image, float64 [C]; nan for a class without a contour that can be judged.

    Args:
        prediction: uint8 [H,W] class ids. label: uint8 [H,W] class ids or `void_id`.
        tolerance: distance that still counts as a hit, as a share of the image's diagonal.
    """
    distance = tolerance * float(np.hypot(*label.shape))
    valid = label != void_id
    labelled = contour(label, valid)
    found = contour(prediction, np.ones(label.shape, bool))
    judged = found & ~near(~valid, distance)
    scores: NDArray[np.float64] = np.full(classes, np.nan)
    for index in range(classes):
        true, seen = labelled & (label == index), found & (prediction == index)
        counted = judged & seen
        if true.any() or counted.any():
            precision = near(true, distance)[counted].mean() if counted.any() else 1.0
            recall = near(seen, distance)[true].mean() if true.any() else 1.0
            total = precision + recall
            scores[index] = 2 * precision * recall / total if total > 0 else 0.0
    return scores


class BoundaryF(Metric):
    """`boundary_f` of each class, averaged over the images that have its contour."""

    full_state_update = False

    def __init__(self, classes: int, void_id: int, tolerance: float = TOLERANCE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes, self.void_id, self.tolerance = classes, void_id, tolerance
        self.add_state("total", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add images: class ids [N,H,W]; `target` may hold void."""
        pairs = zip(_ids(prediction), _ids(target), strict=True)
        for found, label in pairs:
            scores = torch.from_numpy(
                boundary_f(found, label, self.classes, self.void_id, self.tolerance)
            ).to(self.total.device)
            self.total += scores.nan_to_num(0.0)
            self.images += ~scores.isnan()

    def compute(self) -> Tensor:
        """float64 [C]; nan for a class that no image has."""
        return torch.where(self.images > 0, self.total / self.images.clamp(min=1), torch.nan)


def _ids(masks: Tensor) -> Mask:
    return masks.to(torch.uint8).cpu().numpy()
