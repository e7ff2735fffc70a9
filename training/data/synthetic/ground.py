"""Road, kerbs, pavements and verges, with marks, wear, shadows and haze."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.data.synthetic.camera import Point
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import PAVEMENT, ROAD, TREE, tag
from training.data.synthetic.light import Color
from training.data.synthetic.texture import Array, noise, tileable

FAR_M = 220.0
_STEPS = (1.0, 1.5, 2, 3, 4, 5.5, 7, 9, 12, 16, 21, 28, 38, 52, 70, 95, 130, 170, FAR_M)
_TILE_PX_PER_M = 32


@dataclass(frozen=True)
class Cross:
    """Cross-section of a street, metres from the centre line, and its surfaces.

    `pavement` is the outer edge; `verge` metres of grass lie between kerb and pavement. `marks` is how lanes
    are painted: "dashed", "solid" or "none".
    """

    half_road: float
    verge: float
    pavement: float
    asphalt: Color
    paving: Color
    grass: Color
    beyond_grass: bool
    marks: str
    edge_lines: int
    mark_shade: float
    contrast: float


def make_grain(rng: np.random.Generator) -> Array:
    """A seamless tile of surface wear, float32, mean 0, 32 pixels a metre, 16 m a side."""
    size = 16 * _TILE_PX_PER_M
    field = 0.6 * noise(rng, size, size, (1, 2)) + 0.8 * noise(rng, size, size, (24, 90))
    tile: Array = tileable(field).astype(np.float32)
    tile /= tile.std()
    return tile


def _strip(x0: float, x1: float, z0: float = 0.0, z1: float = FAR_M, y: float = 0.0) -> list[Point]:
    zs = [max(z0, _STEPS[0]), *(z for z in _STEPS if max(z0, _STEPS[0]) < z < z1), z1]
    return [(x0, y, z) for z in zs] + [(x1, y, z) for z in reversed(zs)]


class Ground:
    """Draws the ground of one street."""

    def __init__(
        self, cross: Cross, junctions: list[tuple[float, float]], length: float, rng: np.random.Generator
    ) -> None:
        self.cross, self.junctions = cross, junctions
        self.grain = make_grain(rng)
        self.patches = [
            (
                float(z),
                float(rng.uniform(-cross.half_road, cross.half_road - 1)),
                float(rng.uniform(0.5, 2.4)),
                float(rng.uniform(0.6, 7)),
                float(rng.uniform(0.72, 1.18)),
            )
            for z in np.cumsum(rng.uniform(4, 18, int(length / 11) + 1)) - 10
        ]

    def draw(self, canvas: Canvas, ego_z: float) -> None:
        """Paint everything below the horizon. Surfaces are drawn flat; `finish` gives them grain and haze."""
        cross, image = self.cross, canvas.image
        horizon = max(0, int(np.ceil(canvas.camera.cy)))
        beyond = cross.grass if cross.beyond_grass else cross.paving
        image[horizon:] = np.uint8(np.clip(beyond, 0, 255))
        canvas.ids[horizon:] = tag(TREE if cross.beyond_grass else PAVEMENT)
        r, v, p = cross.half_road, cross.verge, cross.pavement
        for s in (-1, 1):
            self._surface(canvas, s * r, s * p, cross.paving, PAVEMENT)
            if v > 0:
                self._surface(canvas, s * (r + 0.2), s * (r + 0.2 + v), cross.grass, TREE)
            self._surface(
                canvas, s * r, s * (r + 0.17), tuple(min(255.0, c * 1.12) for c in cross.paving), PAVEMENT
            )
            self._surface(canvas, s * (r - 0.05), s * r, tuple(c * 0.5 for c in cross.paving), PAVEMENT)
        self._surface(canvas, -r, r, cross.asphalt, ROAD)
        for s in (-1, 1):
            self._surface(canvas, s * r, s * (r - 0.35), tuple(c * 0.88 for c in cross.asphalt), None)
        for z0, z1 in self.junctions:
            a, b = z0 - ego_z, z1 - ego_z
            if b > 1.2 and a < FAR_M - 5:
                self._surface(canvas, -60, 60, cross.asphalt, ROAD, a, b)
        for z, x, w, d, k in self.patches:
            a = z - ego_z
            if -d < a < 50:
                self._surface(canvas, x, x + w, tuple(c * k for c in cross.asphalt), None, a, a + d)
        self._marks(canvas, ego_z)

    def _surface(
        self,
        canvas: Canvas,
        x0: float,
        x1: float,
        color: tuple[float, ...],
        class_id: int | None,
        z0: float = 0.0,
        z1: float = FAR_M,
    ) -> None:
        if z1 <= _STEPS[0] or z1 <= z0:
            return
        pixels = canvas.camera.project_all(_strip(x0, x1, z0, z1))
        canvas.flat(pixels, (color[0], color[1], color[2]), None if class_id is None else tag(class_id))

    def _marks(self, canvas: Canvas, ego_z: float) -> None:
        cross = self.cross
        white = tuple(min(255.0, c + (225 - c) * cross.mark_shade) for c in cross.asphalt)
        yellow = (white[0] * 0.45, white[1] * 0.85, white[2])
        r = cross.half_road

        def clear(z0: float, z1: float) -> bool:
            return not any(z0 < b and z1 > a for a, b in self.junctions)

        if cross.marks != "none":
            gap = 6.0 if cross.marks == "dashed" else 4.0
            dash = 2.5 if cross.marks == "dashed" else 4.0
            first = int(ego_z // gap)
            for k in range(first, first + int(110 / gap)):
                if clear(k * gap, k * gap + dash):
                    self._surface(canvas, -0.07, 0.07, white, None, k * gap - ego_z, k * gap + dash - ego_z)
        for line in range(cross.edge_lines):
            offset = 0.35 + 0.22 * line
            for s in (-1, 1):
                start = ego_z
                for a, b in [*self.junctions, (ego_z + 120, 0.0)]:
                    if a > start:
                        self._surface(
                            canvas,
                            s * (r - offset),
                            s * (r - offset - 0.09),
                            yellow,
                            None,
                            start - ego_z,
                            min(a, ego_z + 120) - ego_z,
                        )
                    start = max(start, b)
        for z0, z1 in self.junctions:
            a, b = z0 - ego_z, z1 - ego_z
            if -8 < a < 70:
                self._surface(canvas, -r, 0 if a > 0 else -r + 0.01, white, None, a - 2.6, a - 2.3)
                x = -r + 0.5
                while x < r - 0.5:
                    self._surface(canvas, x, x + 0.5, white, None, b + 1.0, b + 3.6)
                    x += 1.05

    def finish(self, canvas: Canvas, ego_z: float, shadows: Array) -> None:
        """Multiply grain and shadows (uint8 [H,W], 255 is lit) into the ground, then veil it with haze."""
        camera, light = canvas.camera, canvas.light
        top = max(0, int(np.ceil(camera.cy)) + 1)
        rows = np.arange(top, camera.height, dtype=np.float32)
        if not len(rows):
            return
        z = camera.focal * camera.mount_height / np.maximum(rows - camera.cy, 0.35)
        u = np.arange(camera.width, dtype=np.float32)
        scale = z / camera.focal * _TILE_PX_PER_M
        left = (camera.lateral - 0.5 * camera.bend * z * z) * _TILE_PX_PER_M
        size = self.grain.shape[0]
        map_x = np.mod(scale[:, None] * (u - camera.cx)[None] + left[:, None], np.float32(size)).astype(
            np.float32
        )
        map_y = np.repeat(np.mod((z + ego_z) * _TILE_PX_PER_M, size)[:, None], camera.width, 1).astype(
            np.float32
        )
        grain = cv2.remap(self.grain, map_x, map_y, cv2.INTER_NEAREST)
        strength = (self.cross.contrast * np.exp(-z / 14))[:, None].astype(np.float32)
        clear = np.exp(-z / light.visibility_m)[:, None].astype(np.float32)
        lit = np.float32(light.shade(0, 1, 0) / 255) * clear
        factor = (1 + grain * strength) * (shadows[top:] * lit)
        part = canvas.image[top:]
        colors = cv2.multiply(part, cv2.merge([factor] * 3), dtype=cv2.CV_32F)
        veil = ((1 - clear)[..., None] * np.array(light.haze, np.float32)).astype(np.float32)
        colors += veil
        part[:] = cv2.convertScaleAbs(colors)
