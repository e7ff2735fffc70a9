"""Fog as light scattered into the picture, thicker with distance.

albumentations' RandomFog blurs more than it fogs and takes 200 ms for a small frame.
"""

from __future__ import annotations

from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

FARTHEST = 8.0  # distance from which on everything counts as equally far, in those of the lowest row


class Fog(A.ImageOnlyTransform):
    """Koschmieder's law, I = J t + A (1 - t) with t = exp(-beta d), as Foggy Cityscapes uses it.

    Sakaridis, Dai, Van Gool: Semantic foggy scene understanding with synthetic data, IJCV 2018. For want of
    depth the distance d is that of a flat road below a random horizon, and the farthest above it.

    Args:
        clear: range of t at the picture's lower edge.
        p: probability.
    """

    class InitSchema(A.ImageOnlyTransform.InitSchema):
        """What albumentations checks the arguments against."""

        clear: tuple[float, float]

    def __init__(self, clear: tuple[float, float] = (0.88, 0.97), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.clear = clear

    def get_params(self) -> dict[str, float]:
        """Draw clearness, horizon (over the height, from above) and brightness of the fog."""
        return {
            "clearness": self.py_random.uniform(*self.clear),
            "horizon": self.py_random.uniform(0.2, 0.6),
            "light": self.py_random.uniform(190, 235),
        }

    def apply(
        self, img: NDArray[np.uint8], clearness: float, horizon: float, light: float, **_: Any
    ) -> NDArray[np.uint8]:
        """The picture uint8 [H,W,3] in fog."""
        below = (np.linspace(0, 1, len(img), dtype=np.float32) - horizon) / (1 - horizon)
        distance = np.minimum(1 / np.maximum(below, 1e-3), FARTHEST)
        through = (clearness**distance)[:, None, None]
        return np.asarray(img * through + light * (1 - through) + 0.5, np.float32).astype(np.uint8)
