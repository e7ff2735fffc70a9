"""Labels and boxes of a bag that have the stamp of no image: what to say of them."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from .bag_reader import Bag
from .topics import BOXES, LABEL, beside

_log = logging.getLogger(__name__)


def no_image_of(bag: Bag, stamps: dict[str, list[int]]) -> str:
    """What to say of labels without images. stamps: the images', in nanoseconds, by topic."""
    counts = ", ".join(f"{len(found)} on {topic}" for topic, found in bag.truth_stamps.items())
    distances_ns = [
        _nearest(np.array(sorted(found)), np.array(sorted(stamps[topic])))
        for topic in bag.topics
        for name in (LABEL, BOXES)
        if (found := bag.truth_stamps.get(beside(topic, name))) and stamps[topic]
    ]
    nearest = f", the nearest is {min(distances_ns) / 1e9:.9f} s away" if distances_ns else ""
    return (
        f"{bag.path}: none of its labels ({counts}) has the stamp of an image of its camera{nearest}; give "
        "labels the header stamps of their images, or leave them out (--no-labels)"
    )


def _nearest(some: np.ndarray, others: np.ndarray) -> int:
    """The smallest distance between two sorted int64 [n] and [m]."""
    after = np.searchsorted(others, some).clip(max=len(others) - 1)
    before = (after - 1).clip(min=0)
    return int(np.minimum(abs(others[after] - some), abs(others[before] - some)).min())


def tell_unmatched(bag: Bag, matched: Counter[str]) -> None:
    """Log which label and box topics have messages that belong to no image. matched: used ones by topic."""
    for topic, stamps in bag.truth_stamps.items():
        if matched[topic] < len(stamps):
            _log.warning(
                "%s: only %d of the %d labels on %s have the stamp of an image; the others count for nothing",
                bag.path,
                matched[topic],
                len(stamps),
                topic,
            )
