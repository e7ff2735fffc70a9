"""The pixels of a camera message, from its plain fields: the node and replay must see the same picture."""

import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .color import CHANNELS, TWO_PLANES, check_picture

_NOT_8_BIT = re.compile(r"(8S|16|32|64)[USF]?C\d+|\w*16")  # sensor_msgs/image_encodings
_COLOUR = ("bgr", "rgb")
_CONVERTIBLE = ("bayer_", "yuv", "nv")
_CONVERT = "convert it to colour first, with image_proc for example"


def raw_problem(encoding: str) -> str:
    """Why raw pictures of this encoding cannot be taken; empty if they can."""
    if encoding in CHANNELS or encoding in TWO_PLANES:
        return ""
    remedy = f"; {_CONVERT}" if encoding.startswith(_CONVERTIBLE) else ""
    supported = ", ".join((*CHANNELS, *TWO_PLANES))
    return f"encoding '{encoding}' is not supported; supported: {supported}{remedy}"


def compressed_problem(kind: str) -> str:
    """Why compressed pictures of this format cannot be taken; empty if they can.

    image_transport writes ``ENCODING; CODEC compressed TARGET``: the camera's encoding, and the one that it
    was converted to first, which is empty where it was not.

    >>> compressed_problem("bayer_rggb8; jpeg compressed bgr8")
    ''
    """
    if "compressedDepth" in kind:
        return f"format '{kind}' is a depth image; a colour or grey camera is needed"
    encoding, stated, rest = kind.partition(";")
    target = rest.partition("compressed")[2].strip()
    if not stated or target.startswith(_COLOUR):
        return ""
    if encoding.startswith("bayer_"):
        if target == "mono8":
            return ""
        return f"format '{kind}' is a Bayer mosaic; {_CONVERT}"
    if _NOT_8_BIT.fullmatch(encoding.strip()):
        return f"format '{kind}' is not of 8 bits, a depth image perhaps; a colour or grey camera is needed"
    return ""


def view_raw(height: int, width: int, encoding: str, step: int, data: Any) -> tuple[NDArray[np.uint8], str]:
    """View the data of a raw image as pixels without copying; padded rows stay where they are.

    Pictures of two planes are no array of pixels before they are colour: these are made bgr8.

    Args:
        data: a buffer of bytes.

    Returns:
        uint8 [H,W,C], or [H,W] for one channel, backed by `data`; and its encoding.

    Raises:
        ImageError: unknown encoding, zero size, odd width of 4:2:2 or side of 4:2:0, rows shorter than the
            width needs, or data of another length than ``step * height``, of two planes half as much again.
    """
    if problem := raw_problem(encoding):
        raise ImageError(problem)
    channels = CHANNELS.get(encoding, 1)
    if height == 0 or width == 0:
        raise ImageError(f"image of {width}x{height} pixels is empty")
    row = width * channels
    if step < row:
        raise ImageError(f"step {step} is too small: {width} pixels of {encoding} need {row} bytes")
    if encoding in TWO_PLANES:
        return _from_two_planes(height, width, encoding, step, data), "bgr8"
    size = len(data)
    if size != step * height:
        raise ImageError(f"data has {size} bytes, but step {step} times height {height} is {step * height}")
    view: NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(height, step)
    if channels == 1:
        view = view[:, :width]
    else:
        shape, strides = (height, width, channels), (step, channels, 1)
        view = np.ndarray(shape, np.uint8, buffer=view, strides=strides)
    check_picture(view, encoding)
    return view, encoding


def _from_two_planes(height: int, width: int, encoding: str, step: int, data: Any) -> NDArray[np.uint8]:
    """Rows of `step` bytes in both planes (ros2/common_interfaces#264) to bgr8, uint8 [H,W,3]."""
    if height % 2 or width % 2:
        raise ImageError(
            f"{encoding} picture must be of even width and height, found {width}x{height}: "
            "four pixels share a colour"
        )
    rows = height + height // 2
    if len(data) != step * rows:
        raise ImageError(
            f"data has {len(data)} bytes, but step {step} times {rows} rows (height {height} and half of it "
            f"for colour) is {step * rows}"
        )
    planes = np.frombuffer(data, np.uint8).reshape(rows, step)[:, :width]
    return np.asarray(cv2.cvtColor(planes, TWO_PLANES[encoding]), np.uint8)


def decode_compressed(data: Any, kind: str) -> NDArray[np.uint8]:
    """Decode a compressed image (JPEG or PNG).

    Args:
        data: a buffer of bytes.
        kind: the message's format, e.g. ``jpeg``.

    Returns:
        uint8 [H,W,3], bgr8. EXIF rotation is ignored: camera geometry is the sensor's.

    Raises:
        ImageError: no data, a depth image, a Bayer mosaic, or not a picture that can be decoded.
    """
    if problem := compressed_problem(kind):
        raise ImageError(problem)
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
