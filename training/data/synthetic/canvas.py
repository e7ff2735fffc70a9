"""Where things are drawn: the picture, and the ids drawn by the same calls."""

from __future__ import annotations

import math

import cv2
import numpy as np

from training.data.synthetic.camera import NEAR_M, Camera, Point
from training.data.synthetic.classes import VOID
from training.data.synthetic.light import Color, Light
from training.data.synthetic.texture import Array, Texture

_SHIFT = 4
_ONE = 1 << _SHIFT
_FAR_PX = 20000.0


class Canvas:
    """One frame in the making.

    Attributes:
        image: uint8 [H,W,3] BGR.
        ids: uint16 [H,W]; see `classes.tag`.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        self.image = np.zeros((camera.height, camera.width, 3), np.uint8)
        self.ids = np.full((camera.height, camera.width), VOID, np.uint16)
        self._glows: list[tuple[float, float, float, Color, int]] = []

    def tone(self, color: Color, z: float, shade: float = 1.0) -> Color:
        """A surface colour as seen at distance z: shaded, then veiled by haze."""
        clear = math.exp(-max(z, 0.0) / self.light.visibility_m)
        veil, haze, k = 1 - clear, self.light.haze, shade * clear
        return (
            min(255.0, color[0] * k + haze[0] * veil),
            min(255.0, color[1] * k + haze[1] * veil),
            min(255.0, color[2] * k + haze[2] * veil),
        )

    def polygon(self, points: list[Point], color: Color, tag: int | None, shade: float = 1.0) -> None:
        """Fill a polygon of street points; with tag None only the picture is painted (a detail)."""
        pixels = self.camera.project_all(points)
        if len(pixels) > 2:
            self.flat(pixels, self.tone(color, min(p[2] for p in points), shade), tag)

    def flat(self, pixels: list[tuple[float, float]], color: Color, tag: int | None) -> None:
        """Fill a polygon of pixels."""
        us, vs = [p[0] for p in pixels], [p[1] for p in pixels]
        left, right, top, foot = min(us), max(us), min(vs), max(vs)
        if right < 0 or left >= self.camera.width or foot < 0 or top >= self.camera.height:
            return
        if min(left, top) < -_FAR_PX or max(right, foot) > _FAR_PX:
            pixels = [(max(-_FAR_PX, min(_FAR_PX, u)), max(-_FAR_PX, min(_FAR_PX, v))) for u, v in pixels]
        corners = [(int(u * _ONE), int(v * _ONE)) for u, v in pixels]
        shape = [np.array(corners, np.int32)]
        cv2.fillPoly(self.image, shape, color, cv2.LINE_AA, _SHIFT)
        if tag is not None:
            cv2.fillPoly(self.ids, shape, tag, cv2.LINE_8, _SHIFT)

    def limb(
        self, a: Point, b: Point, radius: float, color: Color, tag: int | None, shade: float = 1.0
    ) -> None:
        """A round bar from a to b, at least one pixel thick."""
        if a[2] < NEAR_M or b[2] < NEAR_M:
            return
        z = 0.5 * (a[2] + b[2])
        (ua, va), (ub, vb) = self.camera.project(*a), self.camera.project(*b)
        if max(abs(ua), abs(va), abs(ub), abs(vb)) > _FAR_PX:
            return
        thick = max(1, round(2 * radius * self.camera.focal / z))
        start, end = (int(ua * _ONE), int(va * _ONE)), (int(ub * _ONE), int(vb * _ONE))
        cv2.line(self.image, start, end, self.tone(color, z, shade), thick, cv2.LINE_AA, _SHIFT)
        if tag is not None:
            cv2.line(self.ids, start, end, tag, thick, cv2.LINE_8, _SHIFT)

    def ball(self, centre: Point, radius: float, color: Color, tag: int | None, shade: float = 1.0) -> None:
        """A sphere."""
        if centre[2] < NEAR_M:
            return
        u, v = self.camera.project(*centre)
        if max(abs(u), abs(v)) > _FAR_PX:
            return
        size = max(int(0.6 * _ONE), int(radius * self.camera.focal / centre[2] * _ONE))
        at = (int(u * _ONE), int(v * _ONE))
        cv2.circle(self.image, at, size, self.tone(color, centre[2], shade), -1, cv2.LINE_AA, _SHIFT)
        if tag is not None:
            cv2.circle(self.ids, at, size, tag, -1, cv2.LINE_8, _SHIFT)

    def glow(self, at: Point, radius: float, color: Color) -> None:
        """A light to be seen against the exposure, when the scene has its lamps on."""
        if self.light.lamps > 0 and at[2] > 2:
            u, v = self.camera.project(*at)
            size = max(1.5, radius * self.camera.focal / at[2])
            if 0 <= u < self.camera.width and 0 <= v < self.camera.height:
                self._glows.append((u, v, size, color, int(self.ids[int(v), int(u)])))

    def glows(self) -> list[tuple[float, float, float, Color]]:
        """Lamps that nothing was drawn over: (u, v, radius in pixels, colour)."""
        return [
            (u, v, size, color)
            for u, v, size, color, under in self._glows
            if self.ids[int(v), int(u)] == under
        ]

    def panel(
        self, texture: Texture, corners: list[Point], tag: int, shade: float = 1.0, whole: bool = False
    ) -> None:
        """A textured rectangle in the street: corners top-left, top-right, bottom-right, bottom-left.

        The first and last corner are at one distance, and so are the others. A texture with alpha is labelled
        where it is at least two fifths opaque, or over its whole rectangle with `whole`.
        """
        left, right = 0.0, 1.0
        za, zb = corners[0][2], corners[1][2]
        if max(za, zb) <= NEAR_M:
            return
        if min(za, zb) < NEAR_M:
            t = (NEAR_M - za) / (zb - za)
            top = _between(corners[0], corners[1], t)
            foot = _between(corners[3], corners[2], t)
            if za < NEAR_M:
                corners, left = [top, corners[1], corners[2], foot], t
            else:
                corners, right = [corners[0], top, foot, corners[3]], t
        quad = np.array([self.camera.project(*c) for c in corners], np.float32)
        (u0, v0), (u1, v1) = np.floor(quad.min(0)), np.ceil(quad.max(0)) + 1
        u0, v0 = int(max(u0, 0)), int(max(v0, 0))
        u1, v1 = int(min(u1, self.camera.width)), int(min(v1, self.camera.height))
        if u1 - u0 < 1 or v1 - v0 < 1:
            return
        heights = (abs(quad[3, 1] - quad[0, 1]), abs(quad[2, 1] - quad[1, 1]))
        picture = texture.level(math.sqrt(max(heights[0], 1) * max(heights[1], 1)))
        h, w = picture.shape[:2]
        source = np.array([[left * w, 0], [right * w, 0], [right * w, h], [left * w, h]], np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(source, quad - np.array([u0, v0], np.float32))
        warped = cv2.warpPerspective(picture, matrix, (u1 - u0, v1 - v0), borderMode=cv2.BORDER_REPLICATE)
        outline = np.zeros((v1 - v0, u1 - u0), np.uint8)
        shape = ((quad - np.array([u0, v0], np.float32)) * _ONE).astype(np.int32)
        cv2.fillConvexPoly(outline, shape, 255, cv2.LINE_8, _SHIFT)
        z = max(0.0, 0.5 * (corners[0][2] + corners[1][2]))
        self._paint(warped, outline, (v0, v1, u0, u1), z, shade, tag, whole)

    def _paint(
        self,
        warped: Array,
        outline: Array,
        box: tuple[int, int, int, int],
        z: float,
        shade: float,
        tag: int,
        whole: bool,
    ) -> None:
        v0, v1, u0, u1 = box
        clear = math.exp(-z / self.light.visibility_m)
        colors = warped if warped.shape[2] == 3 else cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR)
        veil = (*((1 - clear) * c for c in self.light.haze), 0.0)
        colors = cv2.add(cv2.convertScaleAbs(colors, alpha=shade * clear), veil)
        image, ids = self.image[v0:v1, u0:u1], self.ids[v0:v1, u0:u1]
        if warped.shape[2] == 3:
            cv2.copyTo(colors, outline, image)
            ids[outline > 0] = tag
            return
        alpha = cv2.min(cv2.extractChannel(warped, 3), outline)
        weight = cv2.multiply(alpha, 1 / 255, dtype=cv2.CV_32F)
        image[:] = cv2.blendLinear(np.ascontiguousarray(image), colors, cv2.subtract(1.0, weight), weight)
        ids[(outline if whole else alpha) > (0 if whole else 102)] = tag


def _between(a: Point, b: Point, t: float) -> Point:
    return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))
