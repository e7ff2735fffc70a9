"""Frames of a video file, as an unlabelled drive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from ..errors import BagError
from .labelled_folder import LabelledFrame


@dataclass(frozen=True)
class VideoFile:
    """A readable video. frame_count is the container's claim and may be 0 or off by a few."""

    path: Path
    rate_hz: float
    frame_count: int

    def frames(self) -> Iterator[LabelledFrame]:
        """Decode the frames in order; pixels are uint8 [H,W,3] BGR."""
        capture = cv2.VideoCapture(str(self.path))
        try:
            index = 0
            while True:
                success, pixels = capture.read()
                if not success:
                    return
                yield LabelledFrame(f"{index:06d}", pixels, None, None)
                index += 1
        finally:
            capture.release()


def open_video(path: Path) -> VideoFile:
    """Look at a video file's header.

    Raises:
        BagError: OpenCV cannot open the file or finds no frame rate in it.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise BagError(
                f"{path}: cannot be opened as a video; convert it, for example: ffmpeg -i {path} out.mp4"
            )
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()
    return VideoFile(path, rate_hz if 0 < rate_hz < 1000 else 0.0, count)
