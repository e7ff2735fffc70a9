"""Boxes from pictures of instance ids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def boxes_of_ids(
    ids: NDArray[np.int64], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The tightest box around the pixels of each id.

    Args:
        ids: int64 [H,W].
        counted: bool [H,W], the pixels that belong to instances.

    Returns:
        The ids int64 [K] in ascending order, and their boxes float32 [K,4], x1, y1, x2, y2 at pixel edges:
        one pixel at column 3 spans 3 to 4.
    """
    rows, columns = np.nonzero(counted)
    found, which = np.unique(ids[rows, columns], return_inverse=True)
    low = np.full((len(found), 2), np.iinfo(np.int64).max)
    high = np.zeros((len(found), 2), np.int64)
    places = np.stack([columns, rows], axis=1)
    np.minimum.at(low, which, places)
    np.maximum.at(high, which, places + 1)
    return found, np.concatenate([low, high], axis=1).astype(np.float32)
