"""Weight sharing: k-means over the values of one layer (Deep Compression, section 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 500


def share_weights(
    values: NDArray[np.float32], clusters: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Codebook float32 [K] and, for each value, the place of its nearest entry, uint8 [N].

    Lloyd's iteration from entries spread evenly between the extremes, which keeps large weights (section
    3.2, "linear initialization"). Where the values are few and distinct, each is its own entry.

    Args:
        values: float32 [N]. clusters: K at most, up to 256.
    """
    distinct = np.unique(values)
    if len(distinct) <= clusters:
        return distinct, np.searchsorted(distinct, values).astype(np.uint8)
    ordered = np.sort(values).astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    codebook = np.linspace(ordered[0], ordered[-1], clusters)
    for _ in range(ROUNDS):
        ends = np.searchsorted(ordered, (codebook[1:] + codebook[:-1]) / 2)
        starts = np.concatenate(([0], ends))
        stops = np.concatenate((ends, [len(ordered)]))
        counts = stops - starts
        moved = np.where(counts > 0, (sums[stops] - sums[starts]) / np.maximum(counts, 1), codebook)
        if np.array_equal(moved, codebook):
            break
        codebook = moved
    entries = codebook.astype(np.float32)
    places = np.searchsorted((entries[1:] + entries[:-1]) / 2, values)
    return entries, places.astype(np.uint8)
