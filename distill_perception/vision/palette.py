"""Class ids to colours."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ..manifest import ClassInfo


def palette_of(classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """The classes' colours by id: uint8 [256,3] RGB, black for ids that are no class (void)."""
    palette = np.zeros((256, 3), np.uint8)
    for item in classes:
        palette[item.id] = item.color
    return palette


def colorize(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Paint class ids uint8 [H,W] with a palette uint8 [256,3]: uint8 [H,W,3] in the palette's order."""
    # applyColorMap is OpenCV's threaded table look-up; "BGR" in its name is whatever the table holds.
    return cast(NDArray[np.uint8], cv2.applyColorMap(np.ascontiguousarray(mask), palette.reshape(256, 1, 3)))
