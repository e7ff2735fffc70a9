"""ROS picture encodings and the way from each to the model's channel order."""

from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError

ChannelOrder = Literal["rgb", "bgr"]

CHANNELS: dict[str, int] = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1}

# OpenCV's type names, which a driver writes that leaves the encoding to cv_bridge; in OpenCV's order.
_OPENCV = {"8UC3": "bgr8", "8UC4": "bgra8", "8UC1": "mono8"}
CHANNELS |= {name: CHANNELS[same] for name, same in _OPENCV.items()}

# Pictures whose neighbouring pixels share colours, and OpenCV's name of each in its conversions: 4:2:2 (two
# bytes a pixel; BT.601, 16 to 235), as USB cameras give it, and the mosaic of a sensor (one byte).
_SHARING = {
    "yuv422": "YUV2{}_UYVY",
    "uyvy": "YUV2{}_UYVY",
    "yuv422_yuy2": "YUV2{}_YUY2",
    "yuyv": "YUV2{}_YUY2",
}
_SHARING |= {
    f"bayer_{pattern}8": f"Bayer{pattern.upper()}2{{}}" for pattern in ("rggb", "bggr", "gbrg", "grbg")
}
CHANNELS |= {name: 1 if name.startswith("bayer_") else 2 for name in _SHARING}

# 4:2:0 as hardware decoders give it: a plane of luma, below it one of half the rows with both colours.
TWO_PLANES: dict[str, int] = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}

# (encoding, wanted order) -> OpenCV's conversion; None where the picture is in that order already.
_CONVERSIONS: dict[tuple[str, str], int | None] = {
    ("bgr8", "bgr"): None,
    ("bgr8", "rgb"): cv2.COLOR_BGR2RGB,
    ("rgb8", "rgb"): None,
    ("rgb8", "bgr"): cv2.COLOR_RGB2BGR,
    ("bgra8", "bgr"): cv2.COLOR_BGRA2BGR,
    ("bgra8", "rgb"): cv2.COLOR_BGRA2RGB,
    ("rgba8", "rgb"): cv2.COLOR_RGBA2RGB,
    ("rgba8", "bgr"): cv2.COLOR_RGBA2BGR,
    ("mono8", "bgr"): cv2.COLOR_GRAY2BGR,
    ("mono8", "rgb"): cv2.COLOR_GRAY2RGB,
}
_CONVERSIONS |= {
    (name, order): _CONVERSIONS[same, order] for name, same in _OPENCV.items() for order in ("bgr", "rgb")
}
_CONVERSIONS |= {
    (name, order): getattr(cv2, f"COLOR_{code.format(order.upper())}")
    for name, code in _SHARING.items()
    for order in ("bgr", "rgb")
}


def check_picture(pixels: NDArray[Any], encoding: str) -> None:
    """Check a camera picture: uint8 [H,W] for one channel, else [H,W,channels of the encoding], not empty.

    Raises:
        ImageError: says what was expected and what was found.
    """
    channels = CHANNELS.get(encoding)
    if channels is None:
        raise ImageError(f"encoding '{encoding}' is not supported; supported: {', '.join(CHANNELS)}")
    shape = list(pixels.shape)
    wanted = "[H,W]" if channels == 1 else f"[H,W,{channels}]"
    if pixels.dtype != np.uint8:
        raise ImageError(f"{encoding} picture must be uint8 {wanted}, found {pixels.dtype} {shape}")
    if pixels.ndim != (2 if channels == 1 else 3) or (channels > 1 and shape[2] != channels):
        raise ImageError(f"{encoding} picture must be uint8 {wanted}, found {shape}")
    if pixels.size == 0:
        raise ImageError(f"{encoding} picture is empty: {shape}")
    if channels == 2 and shape[1] % 2:
        raise ImageError(
            f"{encoding} picture must be of even width, found {shape[1]}: two pixels share a colour"
        )


def shares_colours(encoding: str) -> bool:
    """Whether pictures of `encoding` must be converted before they are resized: pixels share colours."""
    return encoding in _SHARING or encoding in TWO_PLANES


def needs_conversion(encoding: str, order: ChannelOrder) -> bool:
    """Whether pictures of `encoding` differ from the model's three channels in `order`."""
    return _CONVERSIONS[encoding, order] is not None


def convert(
    pixels: NDArray[np.uint8], encoding: str, order: ChannelOrder, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Convert a checked picture to uint8 [H,W,3] in `order`, into `out` where given.

    Without `out` a picture that is in that order already is returned as it is, not copied.
    """
    code = _CONVERSIONS[encoding, order]
    if code is not None:
        return cast(NDArray[np.uint8], cv2.cvtColor(pixels, code, dst=out))
    if out is None:
        return pixels
    np.copyto(out, pixels)
    return out
