"""Fog as light scattered into the picture, thicker with distance.

albumentations' RandomFog blurs more than it fogs and takes 200 ms for a small frame.
"""

from __future__ import annotations

from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

CLEAREST, THICKEST = 0.97, 0.88  # range of t at the picture's lower edge
FARTHEST = 8.0  # distance from which on everything counts as equally far, in those of the lowest row


class Fog(A.ImageOnlyTransform):
    """Koschmieder's law, I = J t + A (1 - t) with t = exp(-beta d), as Foggy Cityscapes uses it.

    Sakaridis, Dai, Van Gool: Semantic foggy scene understanding with synthetic data, IJCV 2018. For want of
    depth the distance d is that of a flat road below a random horizon, and the farthest above it.
    """

    def get_params(self) -> dict[str, float]:
        """Draw clearness, horizon (over the height, from above) and brightness of the fog."""
        return {
            "clearness": self.py_random.uniform(THICKEST, CLEAREST),
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
