"""Shadows on the ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from training.data.synthetic.camera import Point
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.texture import Array
from training.data.synthetic.things import Building, Thing, Upright
from training.data.synthetic.traffic import Actor
from training.data.synthetic.vehicles import Vehicle


def cast_shadows(
    canvas: Canvas, ego_z: float, time_s: float, things: Sequence[Thing], actors: Sequence[Actor]
) -> Array:
    """How lit the ground is, uint8 [H,W]: 255 in the open.

    With the sun out, buildings and trees throw shadows away from it; things on the road darken what is
    under them.
    """
    camera, light = canvas.camera, canvas.light
    lit = np.full((camera.height, camera.width), 255, np.uint8)

    def fill(points: list[Point], value: int) -> None:
        pixels = camera.project_all(points)
        if len(pixels) > 2:
            cv2.fillPoly(
                lit, [(np.clip(np.array(pixels), -20000, 20000) * 16).astype(np.int32)], value, cv2.LINE_8, 4
            )

    if light.direct > 0.4:
        dark = int(255 * light.ambient / light.shade(0, 1, 0))
        sx, sz = -light.sun[0] / light.sun[1], -light.sun[2] / light.sun[1]
        for thing in things:
            if isinstance(thing, Building):
                a, b, h = thing.z0 - ego_z, thing.z1 - ego_z, thing.front.height_m
                fill(
                    [
                        (thing.x, 0, a),
                        (thing.x, 0, b),
                        (thing.x + sx * h, 0, b + sz * h),
                        (thing.x + sx * h, 0, a + sz * h),
                    ],
                    dark,
                )
            elif isinstance(thing, Upright):
                z, h = thing.z - ego_z, thing.texture.height_m
                for k in range(4):
                    up, r = h * (0.45 + 0.14 * k), thing.texture.width_m * (0.3 if k % 2 else 0.24)
                    x0, z0 = thing.x + sx * up + 0.7 * (k - 1.5), z + sz * up
                    ring = [(x0 + r * c, 0.0, z0 + r * s) for c, s in _CIRCLE]
                    fill(ring, dark + 12)
        for actor in actors:
            x, z = actor.place(time_s)
            z -= ego_z
            if not isinstance(actor.shape, Vehicle) and z < 40:
                reach = 1.6
                fill(
                    [
                        (x - 0.2, 0, z),
                        (x + 0.2, 0, z),
                        (x + 0.15 + sx * reach, 0, z + sz * reach),
                        (x - 0.15 + sx * reach, 0, z + sz * reach),
                    ],
                    dark,
                )
            elif isinstance(actor.shape, Vehicle) and z < 60:
                _block(fill, actor.shape, x + sx * 0.9, z + sz * 0.9, dark, 0.0)
    for actor in actors:
        x, z = actor.place(time_s)
        z -= ego_z
        if isinstance(actor.shape, Vehicle):
            _block(fill, actor.shape, x, z, 130 if light.direct < 0.4 else 90, 0.18)
            _block(fill, actor.shape, x, z, 60, -0.05)
        elif z < 40:
            fill([(x + 0.32 * c, 0.0, z + 0.32 * s) for c, s in _CIRCLE], 150)
    soft: Array = cv2.blur(lit, (5, 3))
    return soft


_CIRCLE = [(float(np.cos(t)), float(np.sin(t))) for t in np.linspace(0, 2 * np.pi, 10, endpoint=False)]


def _block(
    fill: Callable[[list[Point], int], None], vehicle: Vehicle, x: float, z: float, value: int, grow: float
) -> None:
    w, r = vehicle.body.width / 2 + grow, vehicle.body.length / 2 + grow
    fill([(x - w, 0.0, z - r), (x + w, 0.0, z - r), (x + w, 0.0, z + r), (x - w, 0.0, z + r)], value)
