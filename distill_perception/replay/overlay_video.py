"""The drive as a video with masks, boxes and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from ..bags.reader import BagFrame
from ..errors import ImageError
from ..manifest import ClassInfo
from ..terminal import warn
from ..whole_file import part_of
from .evaluation import ScoredFrame
from .examples import render

_MAX_SIDE = 8191  # MPEG-4 part 2 has 13 bits for it


def frame_rate(stamps_ns: Sequence[int]) -> float:
    """Frames per second of one camera with these stamps, within what players accept; gaps do not count."""
    if len(stamps_ns) < 2:
        return 15.0
    period_s = float(np.median(np.diff(np.sort(stamps_ns)))) / 1e9
    return min(max(1 / period_s, 1.0), 120.0)


class OverlayVideo:
    """Writes an .mp4 of one camera as frames pass by, if they fit into one. Use as a context manager.

    MPEG-4 part 2 is what OpenCV's wheels can always write; players such as VLC and mpv show it. The file is
    there only when all is in it.
    """

    def __init__(self, path: Path, topic: str, rate_hz: float, classes: tuple[ClassInfo, ...]) -> None:
        self.path = path
        self._topic, self._rate_hz, self._classes = topic, rate_hz, classes
        self._part = part_of(path)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._told = False

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.release()  # says nothing of a full disk
        if self._writer and kind is None:
            if cv2.VideoCapture(str(self._part)).isOpened():
                self._part.replace(self.path)
            else:
                warn(f"{self.path}: left out, OpenCV could not write it; is there room?")
        self._part.unlink(missing_ok=True)

    def visit(self, frame: BagFrame, scored: ScoredFrame, mask: np.ndarray | None) -> None:
        """Append one frame; one that was dropped is shown as it is, and says so."""
        if frame.topic != self._topic:
            return
        try:
            pixels = frame.image.bgr()
        except ImageError:  # a malformed frame, which counts as dropped
            return
        if not self._holds(*pixels.shape[:2]):
            return
        if scored.result.answered:
            drawn = render(pixels, self._classes, mask, scored.result, legend=True)
        else:
            drawn = pixels.copy()
            place = (12, drawn.shape[0] - 16)
            cv2.putText(drawn, "dropped", place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 255), 2, cv2.LINE_AA)
        self._write(drawn)

    def _holds(self, height: int, width: int) -> bool:
        """Whether a video can have such frames; told once if not."""
        holds = min(height, width) >= 2 and max(height, width) <= _MAX_SIDE
        if not (holds or self._told):
            self._told = True
            warn(f"{self.path}: left out are frames of {width}x{height} pixels, which no video can hold")
        return holds

    def _write(self, picture: np.ndarray) -> None:
        height, width = (side - side % 2 for side in picture.shape[:2])  # the codec wants even sides
        if self._writer is None:
            self._size = (width, height)
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._part), codec, self._rate_hz, self._size)
        picture = picture[:height, :width]
        if (width, height) != self._size:  # a camera that changed its resolution
            picture = cv2.resize(picture, self._size)
        self._writer.write(np.ascontiguousarray(picture))
