"""How much of a box is left where something covers the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def visible_share(boxes: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of each box float32 [K,4] that `covered` bool [H,W] leaves free, float64 [K], by whole pixels."""
    sums = cv2.integral(covered.astype(np.uint8))
    low = np.floor(boxes[:, :2]).astype(int).clip(min=0)
    high = np.ceil(boxes[:, 2:]).astype(int)
    (x1, y1), (x2, y2) = low.T, np.minimum(high, [covered.shape[1], covered.shape[0]]).T
    hidden = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    return np.asarray(1 - hidden / np.maximum((x2 - x1) * (y2 - y1), 1), np.float64)
