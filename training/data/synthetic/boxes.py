"""Boxes of things, from their visible pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_PIXELS = 40


@dataclass(frozen=True)
class Box:
    """A thing in a frame: class id, x, y, width, height and visible area, in pixels."""

    label: int
    x: int
    y: int
    width: int
    height: int
    area: int


def boxes_from_ids(ids: NDArray[Any], min_pixels: int = MIN_PIXELS) -> list[Box]:
    """One box around each instance's visible pixels; `ids` is uint16 [H,W], see `classes.tag`."""
    ys, xs = np.nonzero(ids >= 16)
    if not len(ys):
        return []
    tags = ids[ys, xs]
    order = np.argsort(tags, kind="stable")
    tags, ys, xs = tags[order], ys[order], xs[order]
    starts = np.flatnonzero(np.r_[True, tags[1:] != tags[:-1]])
    counts = np.diff(np.r_[starts, len(tags)])
    x0, x1 = np.minimum.reduceat(xs, starts), np.maximum.reduceat(xs, starts)
    y0, y1 = np.minimum.reduceat(ys, starts), np.maximum.reduceat(ys, starts)
    return [
        Box(int(tags[s] & 15), int(a), int(c), int(b - a + 1), int(d - c + 1), int(n))
        for s, n, a, b, c, d in zip(starts, counts, x0, x1, y0, y1, strict=True)
        if n >= min_pixels
    ]
