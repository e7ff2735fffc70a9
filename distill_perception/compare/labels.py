"""Where to write names beside points so that no name covers another or a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share any area."""
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)

    def inside(self, other: Box) -> bool:
        """Whether it lies in `other` as a whole."""
        across = self.left >= other.left and self.right <= other.right
        return across and self.bottom >= other.bottom and self.top <= other.top


def place_labels(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], frame: Box, gap: float
) -> list[tuple[float, float]]:
    """Offset of each name's left middle from its point, in pixels; greedy, the highest point first.

    Args:
        points: x, y. sizes: width, height of the names. frame: names stay inside if they can.
        gap: pixels kept free around a point.
    """
    taken = [Box(x - gap, y - gap, x + gap, y + gap) for x, y in points]
    offsets = [(0.0, 0.0)] * len(points)
    for index in sorted(range(len(points)), key=lambda i: -points[i][1]):
        (x, y), (width, height) = points[index], sizes[index]
        others = taken[:index] + taken[index + 1 :]
        for dx, dy in _offsets(width, height, gap):
            box = Box(x + dx, y + dy - height / 2, x + dx + width, y + dy + height / 2)
            if box.inside(frame) and not any(box.overlaps(other) for other in others):
                break
        else:
            dx, dy = gap + 2, 0.0
            box = Box(x + dx, y - height / 2, x + dx + width, y + height / 2)
        offsets[index] = (dx, dy)
        taken.append(box)
    return offsets


def _offsets(width: float, height: float, gap: float) -> Iterator[tuple[float, float]]:
    """Right, left, then ever higher and lower; further out the farther up or down, to keep lines apart."""
    for step in range(40):
        for dy in (0.0,) if step == 0 else (step * height / 2, -step * height / 2):
            aside = gap + 2 + min(step, 6) * 2
            yield aside, dy
            yield -aside - width, dy
