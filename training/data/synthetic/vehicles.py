"""Cars, vans and buses: a side profile drawn out to its width, shaded face by face."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.data.synthetic.bodies import Body, Profile
from training.data.synthetic.camera import Point
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import CAR, tag
from training.data.synthetic.light import Color

Place = Callable[[float, float, float], Point]
GLASS: Color = (64, 56, 50)
TYRE: Color = (30, 30, 30)


@dataclass(frozen=True)
class Vehicle:
    """One vehicle. Heading 0 drives ahead like the camera's own, pi comes towards it (clockwise)."""

    body: Body
    paint: Color

    def draw(self, canvas: Canvas, instance: int, x: float, z: float, heading: float) -> None:
        """Draw it with the middle of its footprint at street point (x, z)."""
        body, half = self.body, self.body.width / 2
        sin, cos = math.sin(heading), math.cos(heading)
        mark = tag(CAR, instance)
        near = z < 45
        eye = canvas.camera.lateral - x - 0.5 * canvas.camera.bend * z * z
        along_eye, side_eye = eye * sin - z * cos, eye * cos + z * sin
        side = 1.0 if side_eye > 0 else -1.0

        def at(along: float, up: float, across: float) -> Point:
            return (x + along * sin + across * cos, up, z + along * cos - across * sin)

        def shade(along: float, up: float, across: float) -> float:
            return canvas.light.shade(along * sin + across * cos, up, along * cos - across * sin)

        def strips(profile: Profile, foot: float, top: float, base: float, glazed: tuple[bool, ...]) -> None:
            """The faces across the vehicle that show, far ones first."""
            span = max(p[1] for p in profile) - base
            faces = []
            for i in range(len(profile) - 1):
                (a0, y0), (a1, y1) = profile[i], profile[i + 1]
                na, ny = -(y1 - y0), a1 - a0
                size = math.hypot(na, ny)
                if na * (along_eye - a0) + ny * (canvas.camera.mount_height - y0) <= 0:
                    continue
                w0 = half * (foot + (top - foot) * max(0.0, y0 - base) / span)
                w1 = half * (foot + (top - foot) * max(0.0, y1 - base) / span)
                quad = [at(a0, y0, -w0), at(a1, y1, -w1), at(a1, y1, w1), at(a0, y0, w0)]
                glass = bool(glazed) and glazed[i]
                inner = []
                if glass:
                    inner = [
                        at(a0 + 0.06 * (a1 - a0), y0 + 0.06 * (y1 - y0), -w0 * 0.9),
                        at(a0 + 0.92 * (a1 - a0), y0 + 0.92 * (y1 - y0), -w1 * 0.9),
                        at(a0 + 0.92 * (a1 - a0), y0 + 0.92 * (y1 - y0), w1 * 0.9),
                        at(a0 + 0.06 * (a1 - a0), y0 + 0.06 * (y1 - y0), w0 * 0.9),
                    ]
                faces.append((abs(along_eye - (a0 + a1) / 2), quad, inner, shade(na / size, ny / size, 0)))
            for _, quad, inner, light in sorted(faces, key=lambda face: -face[0]):
                canvas.polygon(quad, self.paint, mark, light)
                if inner:
                    canvas.polygon(inner, GLASS, None, 0.6 + 0.8 * light)
                    if near:
                        a, b, c, d = inner
                        canvas.polygon([_mix(a, b, 0.55), b, c, _mix(d, c, 0.55)], GLASS, None, 1.2 + light)

        reach = body.length / 2
        flank = shade(0, 0, side)
        shadow = [
            at(-reach, 0.22, -half),
            at(reach, 0.22, -half),
            at(reach, 0.22, half),
            at(-reach, 0.22, half),
        ]
        canvas.polygon(shadow, (22, 22, 22), mark)
        if near:
            for along in (-0.31 * body.length, 0.31 * body.length):
                ring = [at(along + da, up, -side * half * 0.9) for da, up in _ring(body.wheel)]
                canvas.polygon(ring, TYRE, mark)
        strips(body.lower, 1.0, 1.0, 0.3, ())
        low = [at(a, y, side * half) for a, y in body.lower]
        belt = body.upper[0][1]
        canvas.polygon(low, self.paint, mark, flank)
        if near:
            skirt = [
                at(-reach, 0.3, side * half),
                at(-reach, 0.5, side * half),
                at(reach, 0.5, side * half),
                at(reach, 0.3, side * half),
            ]
            canvas.polygon(skirt, self.paint, None, flank * 0.6)
            line = belt * 0.93
            canvas.polygon(
                [
                    at(-reach * 0.96, line, side * half),
                    at(-reach * 0.96, belt, side * half),
                    at(reach * 0.6, belt, side * half),
                    at(reach * 0.6, line, side * half),
                ],
                self.paint,
                None,
                flank * 1.2 + 0.1,
            )
        strips(body.upper, 0.95, 0.78, belt, body.glazed)
        span = body.height - belt
        sides = [(a, y, half * (0.95 - 0.17 * (y - belt) / span)) for a, y in body.upper]
        canvas.polygon([at(a, y, side * w) for a, y, w in sides], self.paint, mark, flank)
        mid = sum(a for a, _, _ in sides) / len(sides)
        panes = [at(mid + (a - mid) * 0.86, belt + 0.04 + (y - belt) * 0.8, side * w) for a, y, w in sides]
        canvas.polygon(panes, GLASS, None, 0.7 + 0.5 * flank)
        if near:
            post = 0.06
            canvas.polygon(
                [
                    at(mid - post, belt, side * half * 0.94),
                    at(mid - post, body.height - 0.1, side * half * 0.8),
                    at(mid + post, body.height - 0.1, side * half * 0.8),
                    at(mid + post, belt, side * half * 0.94),
                ],
                self.paint,
                None,
                flank * 0.8,
            )
        for along in (-0.31 * body.length, 0.31 * body.length):
            canvas.polygon([at(along + da, up, side * half) for da, up in _ring(body.wheel)], TYRE, mark)
            if near:
                hub = [at(along + da, up, side * half) for da, up in _ring(body.wheel, 0.6)]
                canvas.polygon(hub, (140, 140, 140), None, flank)
        if along_eye < -reach or along_eye > reach:
            self._end(canvas, at, -reach if along_eye < 0 else reach, along_eye < 0, belt)

    def _end(self, canvas: Canvas, at: Place, along: float, rear: bool, belt: float) -> None:
        """Lights, plate and bumper of the end that shows."""
        half, lamps = self.body.width / 2, canvas.light.lamps

        def patch(w0: float, w1: float, y0: float, y1: float, color: Color, shade: float = 1.0) -> None:
            canvas.polygon(
                [at(along, y0, w0), at(along, y1, w0), at(along, y1, w1), at(along, y0, w1)],
                color,
                None,
                shade,
            )

        patch(-half, half, 0.32, 0.48, self.paint, 0.45)
        color: Color = (40, 30, 200) if rear else (225, 228, 228)
        low, high = (belt * 0.62, belt * 0.9) if rear else (belt * 0.52, belt * 0.72)
        wide = half * (0.28 if rear else 0.36)
        for s in (-1, 1):
            patch(s * (half - wide), s * half * 0.97, low, min(high, belt * 0.75), color)
            canvas.glow(
                at(along, (low + high) / 2, s * half * 0.8),
                0.22 if rear else 0.4,
                (30, 25, 200) if rear else (200, 225, 235),
            )
        if not rear:
            patch(-half * 0.55, half * 0.55, belt * 0.5, belt * 0.64, (30, 30, 30))
        patch(-0.26, 0.26, 0.5, 0.61, (60, 200, 220) if rear else (225, 228, 228))
        if lamps and rear:
            canvas.glow(at(along, belt, 0), 0.1, (20, 20, 140))


def _ring(radius: float, scale: float = 1.0) -> list[tuple[float, float]]:
    """A wheel's outline: (along, up) pairs; the wheel stands on the ground."""
    r = radius * scale
    return [(r * math.cos(k * math.pi / 6), radius + r * math.sin(k * math.pi / 6)) for k in range(12)]


def _mix(a: Point, b: Point, t: float) -> Point:
    return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))
