"""An image message of a bag, its bytes untouched: to be published again, or decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from ..vision.color import convert
from ..vision.picture import compressed_problem, decode_compressed, raw_problem, view_raw


@dataclass(frozen=True)
class RecordedImage:
    """sensor_msgs/Image, or CompressedImage if `format` is set. data: uint8 [n]; frame_id: the header's."""

    data: np.ndarray
    frame_id: str
    format: str = ""
    encoding: str = ""
    height: int = 0
    width: int = 0
    step: int = 0
    is_bigendian: int = 0

    @classmethod
    def from_message(cls, message: Any) -> RecordedImage:
        """From rosbags' or rclpy's message."""
        frame_id = str(message.header.frame_id)
        data = np.asarray(message.data, np.uint8)
        if hasattr(message, "format"):
            return cls(data, frame_id, format=str(message.format) or "unknown")
        return cls(
            data,
            frame_id,
            encoding=str(message.encoding),
            height=int(message.height),
            width=int(message.width),
            step=int(message.step),
            is_bigendian=int(message.is_bigendian),
        )

    def problem(self) -> str:
        """Why the node would not take pictures of its kind, depth images for example; empty if it would."""
        return compressed_problem(self.format) if self.format else raw_problem(self.encoding)

    def native(self) -> tuple[np.ndarray, str]:
        """Pixels as the node sees them, uint8 [H,W] or [H,W,C], and their encoding.

        Raises:
            ImageError: unknown encoding, data of another length, or bytes that are no picture.
        """
        if self.format:
            return decode_compressed(self.data, self.format), "bgr8"
        return view_raw(self.height, self.width, self.encoding, self.step, self.data)

    def bgr(self) -> np.ndarray:
        """Pixels as uint8 [H,W,3] BGR. Raises ImageError as `native` does."""
        pixels, encoding = self.native()
        return convert(pixels, encoding, "bgr")

    def label(self) -> np.ndarray:
        """Class ids, uint8 [H,W]. Raises ImageError if it is not a one-channel 8-bit image."""
        if self.encoding not in ("mono8", "8UC1"):  # OpenCV's name of it, which labelling tools write
            raise ImageError(f"a label must be mono8 class ids, not {self.encoding or self.format}")
        return view_raw(self.height, self.width, "mono8", self.step, self.data)[0]
