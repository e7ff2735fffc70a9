"""Fitting a camera picture into the model's input, and carrying masks and boxes back."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]  # (height, width)
ResizeRule = Literal["letterbox", "stretch"]

# The grey that the picture's border is filled with; training must pad with the same.
PAD_VALUE = 114


@dataclass(frozen=True)
class Letterbox:
    """Where the camera picture lies inside the model's input.

    Attributes:
        source: (height, width) of the camera picture.
        target: (height, width) of the model's input.
        top, left, height, width: the picture's place in the input, in input pixels.
    """

    source: Size
    target: Size
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def fit(cls, source: Size, target: Size, rule: ResizeRule = "letterbox") -> "Letterbox":
        """Place a picture: centred and in proportion (`letterbox`), or filling the input (`stretch`)."""
        if rule == "stretch":
            return cls(source, target, 0, 0, *target)
        scale = min(target[0] / source[0], target[1] / source[1])
        height = min(target[0], max(1, round(source[0] * scale)))
        width = min(target[1], max(1, round(source[1] * scale)))
        return cls(source, target, (target[0] - height) // 2, (target[1] - width) // 2, height, width)

    @property
    def fills_target(self) -> bool:
        """True when no border is left around the picture."""
        return (self.height, self.width) == self.target

    def content(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The part of `picture` that shows the camera picture, as a view.

        Args:
            picture: [h,w,...], laid out as the model's input; its resolution may be lower.
        """
        if self.fills_target:
            return picture
        down, right = picture.shape[0] / self.target[0], picture.shape[1] / self.target[1]
        top, left = int(self.top * down), int(self.left * right)
        bottom = max(top + 1, round((self.top + self.height) * down))
        edge = max(left + 1, round((self.left + self.width) * right))
        return picture[top:bottom, left:edge]

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize uint8 [h,w] or [h,w,C] into the model's input size, border filled with PAD_VALUE."""
        shape = (*self.target, *picture.shape[2:])
        out = np.full(shape, PAD_VALUE, np.uint8)
        self.content(out)[...] = resize(picture, (self.height, self.width))
        return out

    def mask_to_camera(self, mask: NDArray[np.uint8], size: Size | None = None) -> NDArray[np.uint8]:
        """Carry uint8 [h,w] in the model's layout back: its border is cut off, the rest resized (nearest).

        Args:
            mask: laid out as the model's input; its resolution may be lower.
            size: (height, width) of the result, the camera picture's by default.

        Returns:
            A new array, never a view.
        """
        height, width = size or self.source
        content = self.content(mask)
        if content.shape == (height, width):
            return cast(NDArray[np.uint8], content.copy())
        resized = cv2.resize(content, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return cast(NDArray[np.uint8], resized)

    def boxes_to_camera(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Carry float32 [K,4] x1,y1,x2,y2 from input pixels to camera pixels, clipped to the picture."""
        down, right = self.source[0] / self.height, self.source[1] / self.width
        origin = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([right, down] * 2, np.float32)
        limit = np.array([self.source[1], self.source[0]] * 2, np.float32)
        moved: NDArray[np.float32] = np.clip((boxes - origin) * scale, np.float32(0), limit)
        return moved


def resize(picture: NDArray[np.uint8], size: Size, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Resize a picture uint8 [h,w] or [h,w,C] for the model; data preparation must use this one too.

    Linear, after halving while the picture is more than twice as large. Linear at a scale of 2 is the mean of
    2x2 pixels, so thin things survive as they do with area averaging, at a fifth of its time.
    """
    height, width = size
    while picture.shape[0] > 2 * height and picture.shape[1] > 2 * width:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cast(NDArray[np.uint8], cv2.resize(picture, half, interpolation=cv2.INTER_LINEAR))
    resized = cv2.resize(picture, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    return cast(NDArray[np.uint8], resized)
