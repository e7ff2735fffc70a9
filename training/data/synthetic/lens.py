"""From what is there to what a camera records: exposure, softness, lamps, rain, vignette, noise."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.synthetic.canvas import Canvas
from training.data.synthetic.light import Color, Light
from training.data.synthetic.texture import Array


class Lens:
    """The camera's defects, the same through a drive."""

    def __init__(self, light: Light, width: int, height: int, rng: np.random.Generator) -> None:
        self.light, self.rng = light, rng
        yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
        radius = ((xx - width / 2) / width) ** 2 + ((yy - height / 2) / height) ** 2
        self.vignette: Array = cv2.merge([1 - np.float32(rng.uniform(0.15, 0.6)) * radius] * 3)
        self.softness = float(rng.uniform(0.45, 0.85)) * max(1.0, width / 640)
        contrast, level = rng.uniform(0.95, 1.5), np.arange(256, dtype=np.float32)
        curve = []
        for gain in light.gain:
            bent = level * gain
            bent = (bent - 118) * contrast + 110 + rng.uniform(-8, 4)
            curve.append(np.clip(np.where(bent > 225, 225 + (bent - 225) * 0.6, bent), 0, 255))
        self.curve: Array = np.stack(curve, -1)[None].astype(np.uint8)
        grain = rng.standard_normal((height + 64, width + 64, 3), dtype=np.float32) * np.float32(light.noise)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.6)
        self.grain: Array = np.clip(np.rint(grain), -60, 60).astype(np.int16)

    def expose(self, canvas: Canvas) -> Array:
        """The recorded picture, uint8 [H,W,3]."""
        image = cv2.LUT(canvas.image, self.curve)
        self._add_lamps(image, canvas.glows())
        if self.light.wet > 0.8:
            self._add_rain(image)
        image = cv2.GaussianBlur(image, (0, 0), self.softness)
        image = cv2.multiply(image, self.vignette, dtype=cv2.CV_8U)
        h, w = image.shape[:2]
        y, x = self.rng.integers(0, 64, 2)
        out: Array = cv2.add(image, self.grain[y : y + h, x : x + w], dtype=cv2.CV_8U)
        return out

    def _add_lamps(self, image: Array, glows: list[tuple[float, float, float, Color]]) -> None:
        h, w = image.shape[:2]
        for u, v, radius, color in glows:
            reach = int(min(60.0, radius * 2.5)) + 1
            x0, x1 = max(0, int(u) - reach), min(w, int(u) + reach)
            y0, y1 = max(0, int(v) - reach), min(h, int(v) + reach)
            if x1 <= x0 or y1 <= y0:
                continue
            yy = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(v)
            xx = np.arange(x0, x1, dtype=np.float32)[None] - np.float32(u)
            fall = np.exp(-(yy * yy + xx * xx) / np.float32(0.7 * radius * radius + 0.5)) * self.light.lamps
            part = image[y0:y1, x0:x1]
            part[:] = np.clip(part + fall[..., None] * np.array(color, np.float32), 0, 255).astype(np.uint8)

    def _add_rain(self, image: Array) -> None:
        h, w = image.shape[:2]
        veil = image.copy()
        for x, y, size, slant in self.rng.uniform(0, 1, (160, 4)):
            start = (int(x * w), int(y * h))
            end = (int(x * w + (slant - 0.5) * 6), int(y * h + (8 + 22 * size) * h / 480))
            cv2.line(veil, start, end, (205, 202, 200), 1, cv2.LINE_AA)
        cv2.addWeighted(image, 0.72, veil, 0.28, 0, dst=image)
