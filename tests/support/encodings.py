"""Pictures as cameras give them whose neighbouring pixels share colours, worked out without OpenCV."""

from __future__ import annotations

import numpy as np

# ITU-R BT.601, studio range: Y, U, V of R, G, B in 0 to 1
_OFFSET = np.array([16.0, 128.0, 128.0])
_MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])


def as_422(rgb: np.ndarray, first: str) -> np.ndarray:
    """uint8 [H,W,3] RGB to 4:2:2 [H,W,2]; first: "luma" for Y U Y V, "chroma" for U Y V Y."""
    yuv = rgb / 255.0 @ _MATRIX.T + _OFFSET
    chroma = np.empty(rgb.shape[:2])
    chroma[:, 0::2] = (yuv[:, 0::2, 1] + yuv[:, 1::2, 1]) / 2
    chroma[:, 1::2] = (yuv[:, 0::2, 2] + yuv[:, 1::2, 2]) / 2
    pair = [yuv[..., 0], chroma] if first == "luma" else [chroma, yuv[..., 0]]
    return np.stack(pair, axis=-1).round().astype(np.uint8)


def as_mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """uint8 [H,W,3] RGB to [H,W]; pattern: colours of the upper left 2x2 pixels, row by row, as in "rggb"."""
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        place = np.s_[index // 2 :: 2, index % 2 :: 2]
        mosaic[place] = rgb[..., "rgb".index(colour)][place]
    return mosaic


SHARING = {
    "yuyv": lambda rgb: as_422(rgb, "luma"),
    "yuv422_yuy2": lambda rgb: as_422(rgb, "luma"),
    "uyvy": lambda rgb: as_422(rgb, "chroma"),
    "yuv422": lambda rgb: as_422(rgb, "chroma"),
    "bayer_rggb8": lambda rgb: as_mosaic(rgb, "rggb"),
    "bayer_bggr8": lambda rgb: as_mosaic(rgb, "bggr"),
    "bayer_gbrg8": lambda rgb: as_mosaic(rgb, "gbrg"),
    "bayer_grbg8": lambda rgb: as_mosaic(rgb, "grbg"),
}
