"""Sky and the far skyline."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import BUILDING, SKY, TREE, tag
from training.data.synthetic.light import Light
from training.data.synthetic.texture import Array, noise

_WIDE, _HIGH = 1200, 512
_BAND = 64
_VIEW = 900.0


class Sky:
    """A painted dome (wide picture) with a skyline on the horizon; drawn shifted as the road turns."""

    def __init__(self, light: Light, rng: np.random.Generator, built: float) -> None:
        high, wide = _HIGH // 2, _WIDE // 2
        t = np.linspace(0, 1, high, dtype=np.float32)[:, None, None] ** 1.5
        sky = np.array(light.zenith, np.float32) * (1 - t) + np.array(light.horizon, np.float32) * t
        sky = np.repeat(sky, wide, 1)
        cloud = noise(rng, high, wide, (10, 30, 75), cell=2.2)
        cover = np.clip((cloud + 2.4 * light.cloud - 1.3) * 0.8, 0, 1)[..., None]
        tone = light.horizon[0] * 0.97 + 10 * light.cloud * noise(rng, high, wide, (15, 45), cell=2.5)
        sky = sky * (1 - 0.8 * cover) + 0.8 * cover * np.clip(tone, 0, 255)[..., None]
        self.picture: Array = cv2.resize(np.clip(sky, 0, 255).astype(np.uint8), (_WIDE, _HIGH))
        self.ids: Array = np.full((_HIGH, _WIDE), tag(SKY), np.uint16)
        self._skyline(light, rng, built)

    def _skyline(self, light: Light, rng: np.random.Generator, built: float) -> None:
        clear = float(np.exp(-170 / light.visibility_m))
        haze = np.array(light.haze, np.float32)
        x = 0
        while x < _WIDE:
            w, h = int(rng.integers(20, 70)), int(rng.integers(12, 34))
            wall = np.array([110, 120, 135], np.float32) * rng.uniform(0.5, 1.2)
            color = tuple(float(c) for c in wall * clear * 0.8 + haze * (1 - clear))
            if rng.random() < built:
                box = ((x, _HIGH - h), (x + w, _HIGH))
                cv2.rectangle(self.picture, *box, color, -1)
                cv2.rectangle(self.ids, *box, tag(BUILDING), -1)
                if rng.random() < 0.6:
                    roof = [
                        np.array([(x, _HIGH - h), (x + w // 2, _HIGH - h - 9), (x + w, _HIGH - h)], np.int32)
                    ]
                    cv2.fillPoly(self.picture, roof, tuple(c * 0.8 for c in color))
                    cv2.fillPoly(self.ids, roof, tag(BUILDING))
            x += w
        edge = 16 + 9 * noise(rng, 1, _WIDE, (5, 40))[0]
        edge[noise(rng, 1, _WIDE, (120,))[0] > 1.2 - 2.4 * (1 - built)] *= 0.2
        trees = np.arange(_BAND)[:, None] > _BAND - edge[None]
        green = np.array([58, 84, 74], np.float32) * (1 + 0.2 * noise(rng, _BAND, _WIDE, (3, 8)))[..., None]
        leaves = np.clip(green * clear * 0.8 + haze * (1 - clear), 0, 255).astype(np.uint8)
        self.picture[-_BAND:][trees] = leaves[trees]
        self.ids[-_BAND:][trees] = tag(TREE)

    def draw(self, canvas: Canvas, turn_px: float) -> None:
        """Paint everything above the horizon; `turn_px` pans the dome."""
        camera = canvas.camera
        rows = min(camera.height, max(1, int(np.ceil(camera.cy))))
        zoom = camera.width / _VIEW
        offset = float(
            np.clip(_WIDE / 2 - camera.cx / zoom + turn_px / zoom, 0, _WIDE - camera.width / zoom - 2)
        )
        matrix = np.array([[1 / zoom, 0, offset], [0, 1 / zoom, _HIGH - camera.cy / zoom]], np.float32)
        flags = cv2.WARP_INVERSE_MAP
        size = (camera.width, rows)
        canvas.image[:rows] = cv2.warpAffine(
            self.picture, matrix, size, flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        canvas.ids[:rows] = cv2.warpAffine(
            self.ids, matrix, size, flags=flags | cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
        )
