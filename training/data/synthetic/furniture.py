"""Lamp posts, signs, traffic lights and bollards."""

from __future__ import annotations

import math

from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import POLE, SIGN, tag
from training.data.synthetic.light import Color

SIGN_KINDS = ("round", "triangle", "plate", "banner", "arrow")


def _post(canvas: Canvas, x: float, z: float, foot: float, top: float, radius: float, color: Color) -> None:
    canvas.limb((x, foot, z), (x, top, z), radius, color, tag(POLE), canvas.light.shade(-0.5, 0.3, -0.7))
    if radius * canvas.camera.focal / max(z, 0.6) > 2:
        canvas.limb((x - radius * 0.5, foot, z), (x - radius * 0.5, top, z), radius * 0.25, color, None, 1.25)


def draw_lamp(canvas: Canvas, x: float, z: float, height: float, arm: float, color: Color) -> None:
    """A lamp post with an arm of signed length `arm` towards the road."""
    _post(canvas, x, z, 0, height * 0.4, 0.075, color)
    _post(canvas, x, z, height * 0.4, height, 0.05, color)
    head = (x + arm, height + 0.12, z)
    canvas.limb((x, height, z), head, 0.045, color, tag(POLE), 0.8)
    lit: Color = (200, 220, 240) if canvas.light.lamps else (150, 152, 152)
    canvas.limb((x + arm * 0.75, height + 0.08, z), (x + arm * 1.25, height + 0.1, z), 0.11, lit, tag(POLE))
    canvas.glow(head, 0.8, (120, 190, 245))


def draw_bollard(canvas: Canvas, x: float, z: float, color: Color) -> None:
    """A knee-high to waist-high post."""
    _post(canvas, x, z, 0, 0.95, 0.08, color)
    canvas.limb((x, 0.72, z), (x, 0.8, z), 0.082, (220, 222, 222), None)


def draw_sign(canvas: Canvas, x: float, z: float, height: float, kind: str, color: Color) -> None:
    """A sign on a post; its centre is at `height`, it faces the camera."""
    mark = tag(SIGN)
    _post(canvas, x, z, 0, height + 0.3, 0.04, (120, 122, 122))
    light = canvas.light.shade(0, 0.3, -0.95)
    white: Color = (235, 235, 235)

    def ring(radius: float, corners: int, turn: float = 0.0) -> list[tuple[float, float, float]]:
        steps = [turn + 2 * math.pi * k / corners for k in range(corners)]
        return [(x + radius * math.sin(a), height + radius * math.cos(a), z - 0.05) for a in steps]

    def rectangle(
        w: float, h: float, up: float = 0.0, aside: float = 0.0
    ) -> list[tuple[float, float, float]]:
        y, m = height + up, x + aside
        return [
            (m - w, y - h, z - 0.05),
            (m - w, y + h, z - 0.05),
            (m + w, y + h, z - 0.05),
            (m + w, y - h, z - 0.05),
        ]

    if kind == "round":
        canvas.polygon(ring(0.34, 16), (35, 30, 205), mark, light)
        canvas.polygon(ring(0.25, 16), white, None, light)
        canvas.polygon(rectangle(0.1, 0.09), (30, 30, 30), None, light)
    elif kind == "arrow":
        canvas.polygon(ring(0.34, 16), (190, 90, 30), mark, light)
        canvas.polygon(rectangle(0.05, 0.2), white, None, light)
        canvas.polygon(rectangle(0.13, 0.05, -0.12), white, None, light)
    elif kind == "triangle":
        canvas.polygon(ring(0.45, 3), (35, 30, 205), mark, light)
        canvas.polygon(ring(0.27, 3), white, None, light)
    elif kind == "plate":
        canvas.polygon(rectangle(0.55, 0.4), color, mark, light)
        for k in range(3):
            canvas.polygon(rectangle(0.4 - 0.08 * k, 0.05, 0.22 - 0.2 * k), white, None, light)
    else:
        canvas.polygon(rectangle(0.35, 0.9, 0.3, 0.4), color, mark, light)
        canvas.polygon(rectangle(0.22, 0.3, 0.6, 0.4), white, None, light)


def draw_signal(canvas: Canvas, x: float, z: float, state: int) -> None:
    """A traffic light; `state` 0 red, 1 amber, 2 green."""
    _post(canvas, x, z, 0, 3.3, 0.06, (60, 62, 62))
    w, mark = 0.2, tag(SIGN)
    box = [(x - w, 2.3, z - 0.1), (x - w, 3.35, z - 0.1), (x + w, 3.35, z - 0.1), (x + w, 2.3, z - 0.1)]
    edge = 0.05
    canvas.polygon(
        [
            (x - w - edge, 2.25, z - 0.1),
            (x - w - edge, 3.4, z - 0.1),
            (x + w + edge, 3.4, z - 0.1),
            (x + w + edge, 2.25, z - 0.1),
        ],
        (190, 190, 190),
        mark,
        0.6,
    )
    canvas.polygon(box, (26, 26, 26), mark)
    lit: tuple[Color, ...] = ((60, 60, 250), (60, 190, 255), (150, 245, 90))
    for lamp in range(3):
        color: Color = lit[lamp] if lamp == state else (48, 48, 52)
        at = (x, 3.18 - 0.34 * lamp, z - 0.15)
        canvas.ball(at, 0.11, color, None)
        if lamp == state:
            canvas.glow(at, 0.3, color)
