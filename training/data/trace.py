"""Where the pixels of an augmented frame come from, for what was said of the frame before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.visible import visible_share

# Rows and columns begin here, so that no void id that a mask is padded with looks like a pixel.
FIRST = 256


def coordinates(height: int, width: int) -> NDArray[np.uint16]:
    """Row and column of each pixel of a frame, plus `FIRST`: uint16 [H,W,2], to be augmented as a mask is.

    Two channels are transformed in a twentieth of the time that a teacher's classes would take.
    """
    rows, columns = np.indices((height, width), np.uint16)
    return np.stack([rows + np.uint16(FIRST), columns + np.uint16(FIRST)], -1)


@dataclass(frozen=True)
class Trace:
    """A frame's pixels and somebody's boxes on their way through the frame's augmentation.

    Attributes:
        came_from: uint16 [H,W,2], see `coordinates`; below `FIRST` where a pixel is not the frame's own.
        boxes: float32 [K,4], x1, y1, x2, y2 in pixels; they change, and go, as the labels' boxes do.
        rows: int64 [K], which of the boxes at the start each one was.
    """

    came_from: NDArray[np.uint16]
    boxes: NDArray[np.float32]
    rows: NDArray[np.int64]

    def without(self, covered: NDArray[np.bool_], min_visible: float) -> Trace:
        """The pixels `covered`, bool [H,W], are not the frame's own any more; boxes too little visible go."""
        kept = visible_share(self.boxes, covered) >= min_visible
        came_from = np.where(covered[..., None], np.uint16(0), self.came_from)
        return Trace(came_from, self.boxes[kept], self.rows[kept])
