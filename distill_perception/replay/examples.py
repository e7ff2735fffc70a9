"""The frames that a report shows: best and worst by their own mean IoU, or spread evenly without labels."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from ..bags.reader import BagFrame
from ..manifest import ClassInfo
from ..vision.overlay import draw_overlay
from .evaluation import ScoredFrame
from .recording import FrameResult


@dataclass(frozen=True)
class Example:
    """A frame with its pictures.

    index: place in the drive; camera: its topic; pixels: uint8 [H,W,3] BGR; label, mask: [H,W].
    """

    index: int
    camera: str
    miou: float | None
    pixels: np.ndarray
    label: np.ndarray | None
    mask: np.ndarray | None
    result: FrameResult


class Examples:
    """Keeps the frames worth showing while the drive passes by; memory holds only those.

    Args:
        frame_count: frames in the drive.
        each: how many best, worst, and evenly spaced ones.
    """

    def __init__(self, frame_count: int, each: int = 3) -> None:
        self._each = each
        self._index = 0
        self._order = itertools.count()
        self._best: list[tuple[float, int, Example]] = []
        self._worst: list[tuple[float, int, Example]] = []
        self._even: list[Example] = []
        self._places = {round(place) for place in np.linspace(0, max(0, frame_count - 1), each + 2)[1:-1]}

    def visit(self, frame: BagFrame, scored: ScoredFrame, mask: np.ndarray | None) -> None:
        """Look at one frame of the drive."""
        index, self._index = self._index, self._index + 1
        if not scored.result.answered:
            return
        wanted = index in self._places or (scored.miou is not None and self._ranks(scored.miou))
        if not wanted:
            return
        example = Example(
            index, frame.topic, scored.miou, frame.image.bgr(), frame.label, mask, scored.result
        )
        if index in self._places:
            self._even.append(example)
        if scored.miou is not None:
            self._keep(self._best, scored.miou, example)
            self._keep(self._worst, -scored.miou, example)

    def _ranks(self, miou: float) -> bool:
        heaps = ((self._best, miou), (self._worst, -miou))
        return any(len(heap) < self._each or rank > heap[0][0] for heap, rank in heaps)

    def _keep(self, heap: list[tuple[float, int, Example]], rank: float, example: Example) -> None:
        heapq.heappush(heap, (rank, next(self._order), example))
        if len(heap) > self._each:
            heapq.heappop(heap)

    def best(self) -> list[Example]:
        """Highest mean IoU first; empty without labels."""
        return [item[2] for item in sorted(self._best, reverse=True)]

    def worst(self) -> list[Example]:
        """Lowest mean IoU first, without those that are among the best; empty without labels."""
        best = {example.index for example in self.best()}
        return [item[2] for item in sorted(self._worst, reverse=True) if item[2].index not in best]

    def evenly_spaced(self) -> list[Example]:
        """Frames from the whole drive."""
        return self._even


def render(
    pixels: np.ndarray,
    classes: tuple[ClassInfo, ...],
    mask: np.ndarray | None,
    result: FrameResult | None,
    legend: bool,
) -> np.ndarray:
    """Overlay of a mask (and a result's boxes) over uint8 [H,W,3] BGR; returns the same layout."""
    detections = result.detections if result else ()
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    drawn = draw_overlay(rgb, classes, mask, detections, legend=legend)
    return np.ascontiguousarray(drawn[..., ::-1])
