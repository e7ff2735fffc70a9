"""The pixels of a camera message, from its plain fields: the node and replay must see the same picture."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .color import CHANNELS


def view_raw(height: int, width: int, encoding: str, step: int, data: Any) -> NDArray[np.uint8]:
    """View the data of a raw image as pixels without copying; padded rows stay where they are.

    Args:
        data: a buffer of bytes.

    Returns:
        uint8 [H,W,C], or [H,W] for mono8, backed by `data`.

    Raises:
        ImageError: unknown encoding, zero size, rows shorter than the width needs, or data of another length
            than ``step * height``.
    """
    channels = CHANNELS.get(encoding)
    if channels is None:
        raise ImageError(f"encoding '{encoding}' is not supported; supported: {', '.join(CHANNELS)}")
    if height == 0 or width == 0:
        raise ImageError(f"image of {width}x{height} pixels is empty")
    row = width * channels
    if step < row:
        raise ImageError(f"step {step} is too small: {width} pixels of {encoding} need {row} bytes")
    size = len(data)
    if size != step * height:
        raise ImageError(f"data has {size} bytes, but step {step} times height {height} is {step * height}")
    rows: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(height, step)
    if channels == 1:
        return rows[:, :width]
    shape, strides = (height, width, channels), (step, channels, 1)
    view: NDArray[np.uint8] = np.ndarray(shape, np.uint8, buffer=rows, strides=strides)
    return view


def decode_compressed(data: Any, kind: str) -> NDArray[np.uint8]:
    """Decode a compressed image (JPEG or PNG).

    Args:
        data: a buffer of bytes.
        kind: the message's format, e.g. ``jpeg``.

    Returns:
        uint8 [H,W,3], bgr8. EXIF rotation is ignored: camera geometry is the sensor's.

    Raises:
        ImageError: no data, a depth image, or not a picture that can be decoded.
    """
    if "compressedDepth" in kind:
        raise ImageError(f"format '{kind}' is a depth image; a colour or grey camera is needed")
    content = np.frombuffer(data, dtype=np.uint8)
    if content.size == 0:
        raise ImageError("compressed image without data")
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"cannot decode the compressed image: {error.err or error}") from error
    if pixels is None:
        raise ImageError(f"{content.size} bytes of format '{kind}' are not a JPEG or PNG picture")
    return np.asarray(pixels, np.uint8)
