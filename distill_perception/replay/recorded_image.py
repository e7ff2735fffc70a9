"""An image message of a bag, its bytes untouched: to be published again, or decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..errors import ImageError
from ..vision.color import CHANNELS, convert


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

    def is_supported(self) -> bool:
        """Whether the node would take it: a known colour encoding, or a compressed colour image."""
        if self.format:
            return "compressedDepth" not in self.format
        return self.encoding in CHANNELS

    def native(self) -> tuple[np.ndarray, str]:
        """Pixels as recorded, uint8 [H,W] or [H,W,C], and encoding; compressed ones are decoded to bgr8.

        Raises:
            ImageError: unknown encoding, too little data, or bytes that are no picture.
        """
        if self.format:
            pixels = cv2.imdecode(self.data, cv2.IMREAD_COLOR) if self.data.size else None
            if pixels is None:
                raise ImageError(
                    f"compressed image ({self.format}, {self.data.size} bytes) cannot be decoded"
                )
            return pixels, "bgr8"
        encoding = "mono8" if self.encoding == "8UC1" else self.encoding
        channels = CHANNELS.get(encoding)
        if channels is None:
            raise ImageError(f"encoding '{self.encoding}' is not supported; use one of {', '.join(CHANNELS)}")
        row = self.width * channels
        if self.step < row or self.data.size < self.step * self.height or not row * self.height:
            raise ImageError(
                f"{self.width}x{self.height} {self.encoding} with step {self.step} cannot have "
                f"{self.data.size} bytes"
            )
        rows = self.data[: self.step * self.height].reshape(self.height, self.step)[:, :row]
        if channels == 1:
            return rows, encoding
        return rows.reshape(self.height, self.width, channels), encoding

    def bgr(self) -> np.ndarray:
        """Pixels as uint8 [H,W,3] BGR. Raises ImageError as `native` does."""
        pixels, encoding = self.native()
        return convert(pixels, encoding, "bgr")

    def label(self) -> np.ndarray:
        """Class ids, uint8 [H,W]. Raises ImageError if it is not a one-channel 8-bit image."""
        pixels, encoding = self.native()
        if encoding != "mono8":
            raise ImageError(f"a label must be mono8 class ids, not {self.encoding or self.format}")
        return pixels
