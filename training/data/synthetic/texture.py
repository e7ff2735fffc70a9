"""Textures: a picture with its reduced copies, and the noise they are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Texture:
    """A picture at full, half, quarter, ... size.

    Attributes:
        levels: uint8 [h,w,3] opaque or [h,w,4] with alpha, largest first.
        width_m, height_m: the size in the street that one copy covers.
    """

    levels: tuple[Array, ...]
    width_m: float
    height_m: float

    def level(self, pixels_high: float) -> Array:
        """The smallest level that is still at least about as tall as what is asked for."""
        chosen = self.levels[0]
        for candidate in self.levels[1:]:
            if candidate.shape[0] < 0.85 * pixels_high:
                break
            chosen = candidate
        return chosen


def make_texture(picture: Array, width_m: float, height_m: float) -> Texture:
    """Build the reduced copies by area averaging."""
    levels = [np.ascontiguousarray(picture)]
    while min(levels[-1].shape[:2]) >= 12:
        h, w = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA))
    return Texture(tuple(levels), width_m, height_m)


def noise(
    rng: np.random.Generator, height: int, width: int, scales: tuple[int, ...], cell: float = 1.0
) -> Array:
    """Sum of smooth noises, float32 [height,width], mean about 0 and deviation about 1.

    `scales` are feature sizes in pixels; `cell` > 1 stretches the features sideways.
    """
    total = np.zeros((height, width), np.float32)
    for scale in scales:
        h, w = max(2, height // scale), max(2, int(width / (scale * cell)))
        coarse = rng.standard_normal((h, w), dtype=np.float32)
        total += cv2.resize(
            coarse, (width, height), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_NEAREST
        )
    total /= np.float32(len(scales) ** 0.5)
    return total


def speckled(picture: Array, grain: Array, strength: float) -> Array:
    """A picture [h,w,3] made lighter and darker by noise [h,w], uint8."""
    out = picture.astype(np.float32) * (1 + strength * grain[..., None])
    return np.clip(out, 0, 255).astype(np.uint8)


def tileable(field: Array) -> Array:
    """Blend a field with its mirrored self, so that copies side by side show no seam."""
    h, w = field.shape
    field = field + field[:, ::-1]
    field = field + field[::-1]
    out: Array = field[: h // 2 * 2, : w // 2 * 2] / 4
    return out
