"""Labels and boxes of a bag that have the stamp of no image: what to say of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np

from ..errors import BagError
from ..topics import BOXES, LABEL, beside
from .reader import Bag

_log = logging.getLogger(__name__)


def check_matched(bag: Bag, leave_out: str) -> None:
    """Refuse a bag, opened with `index_images`, none of whose labels has an image; tell where some have none.

    Args:
        leave_out: how to do without labels.

    Raises:
        BagError: naming the nearest image.
    """
    matched: Counter[str] = Counter()
    for topic, stamps in bag.image_times.items():
        for place in (beside(topic, LABEL), beside(topic, BOXES)):
            matched[place] = len(stamps.keys() & bag.truth_times.get(place, {}).keys())
    if bag.truth_times and not matched.total():
        raise BagError(no_image_of(bag, bag.image_times, leave_out))
    tell_unmatched(bag, matched)


def no_image_of(bag: Bag, stamps: Mapping[str, Collection[int]], leave_out: str) -> str:
    """What to say of labels without images. stamps: the images', in nanoseconds, by topic."""
    counts = ", ".join(f"{len(found)} on {topic}" for topic, found in bag.truth_times.items())
    distances_ns = [
        _nearest(np.array(sorted(found)), np.array(sorted(images)))
        for topic, images in stamps.items()
        for name in (LABEL, BOXES)
        if (found := bag.truth_times.get(beside(topic, name))) and images
    ]
    nearest = f", the nearest is {min(distances_ns) / 1e9:.9f} s away" if distances_ns else ""
    return (
        f"{bag.path}: none of its labels ({counts}) has the stamp of an image of its camera{nearest}; give "
        f"labels the header stamps of their images, or {leave_out}"
    )


def _nearest(some: np.ndarray, others: np.ndarray) -> int:
    """The smallest distance between two sorted int64 [n] and [m]."""
    after = np.searchsorted(others, some).clip(max=len(others) - 1)
    before = (after - 1).clip(min=0)
    return int(np.minimum(abs(others[after] - some), abs(others[before] - some)).min())


def tell_unmatched(bag: Bag, matched: Counter[str]) -> None:
    """Log which label and box topics have messages that belong to no image. matched: used ones by topic."""
    for topic, stamps in bag.truth_times.items():
        if matched[topic] < len(stamps):
            _log.warning(
                "%s: only %d of the %d labels on %s have the stamp of an image; the others count for nothing",
                bag.path,
                matched[topic],
                len(stamps),
                topic,
            )
