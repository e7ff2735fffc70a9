"""The drive as a video with masks, boxes and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from ..bags.reader import BagFrame
from ..errors import ImageError, ReplayError
from ..manifest import ClassInfo
from .evaluation import ScoredFrame
from .examples import render


def frame_rate(stamps_ns: Sequence[int]) -> float:
    """Frames per second of one camera with these stamps, within what players accept; gaps do not count."""
    if len(stamps_ns) < 2:
        return 15.0
    period_s = float(np.median(np.diff(np.sort(stamps_ns)))) / 1e9
    return min(max(1 / period_s, 1.0), 120.0)


class OverlayVideo:
    """Writes an .mp4 of one camera as frames pass by. Use as a context manager.

    MPEG-4 part 2 is what OpenCV's wheels can always write; players such as VLC and mpv show it.
    """

    def __init__(self, path: Path, topic: str, rate_hz: float, classes: tuple[ClassInfo, ...]) -> None:
        self.path = path
        self._topic, self._rate_hz, self._classes = topic, rate_hz, classes
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.release()

    def visit(self, frame: BagFrame, scored: ScoredFrame, mask: np.ndarray | None) -> None:
        """Append one frame; one that was dropped is shown as it is, and says so."""
        if frame.topic != self._topic:
            return
        try:
            pixels = frame.image.bgr()
        except ImageError:  # a malformed frame, which counts as dropped
            return
        if scored.result.answered:
            drawn = render(pixels, self._classes, mask, scored.result, legend=True)
        else:
            drawn = pixels.copy()
            place = (12, drawn.shape[0] - 16)
            cv2.putText(drawn, "dropped", place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 255), 2, cv2.LINE_AA)
        self._write(drawn)

    def _write(self, picture: np.ndarray) -> None:
        height, width = (side - side % 2 for side in picture.shape[:2])  # the codec wants even sides
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), codec, self._rate_hz, self._size)
            if not self._writer.isOpened():
                raise ReplayError(
                    f"{self.path}: OpenCV cannot write this video; leave it out with --no-video"
                )
        picture = picture[:height, :width]
        if (width, height) != self._size:  # a camera that changed its resolution
            picture = cv2.resize(picture, self._size)
        self._writer.write(np.ascontiguousarray(picture))
