"""Pedestrians and cyclists: jointed figures of round limbs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.data.synthetic.camera import Point
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import BICYCLIST, PEDESTRIAN, tag
from training.data.synthetic.light import Color

Place = Callable[[float, float, float], Point]
SKINS: tuple[Color, ...] = ((150, 175, 215), (120, 150, 195), (70, 95, 140), (45, 62, 95))
HAIRS: tuple[Color, ...] = ((25, 28, 32), (40, 60, 85), (90, 130, 160), (120, 122, 125))


@dataclass(frozen=True)
class Look:
    """Size and clothes of a person."""

    height: float
    skin: Color
    hair: Color
    coat: Color
    legs: Color
    long_coat: bool
    bag: bool


def make_look(rng: np.random.Generator) -> Look:
    """Dress somebody."""
    coat = rng.uniform(20, 110) * np.ones(3) + rng.uniform(-15, 15, 3)
    if rng.random() < 0.4:
        coat = rng.uniform(20, 220, 3)
    legs = rng.uniform(22, 75) * np.ones(3) + np.array([rng.uniform(0, 35), 0, 0])
    return Look(
        float(np.clip(rng.normal(1.70, 0.1), 1.2, 1.95)),
        SKINS[rng.integers(len(SKINS))],
        HAIRS[rng.integers(len(HAIRS))],
        (float(abs(coat[0])), float(abs(coat[1])), float(abs(coat[2]))),
        (float(legs[0]), float(legs[1]), float(legs[2])),
        bool(rng.random() < 0.3),
        bool(rng.random() < 0.35),
    )


def draw_pedestrian(
    canvas: Canvas, look: Look, instance: int, x: float, z: float, heading: float, phase: float
) -> None:
    """Draw a walker whose feet are around street point (x, z); `phase` in radians, one turn is two steps."""
    mark = tag(PEDESTRIAN, instance)
    s, sin, cos = look.height / 1.72, math.sin(heading), math.cos(heading)
    light = canvas.light.shade(0, 0.5, -0.85)

    def at(along: float, up: float, across: float) -> Point:
        return (x + s * (along * sin + across * cos), s * up, z + s * (along * cos - across * sin))

    swing = 0.32 * math.sin(phase)
    arm = 0.24 * math.sin(phase)
    fine = z < 35

    def side_limbs(side: int, tone: float) -> None:
        step, lift = swing * side, 0.06 * max(0.0, math.cos(phase) * side)
        knee = at(step * 0.55 + 0.06, 0.48 + lift, side * 0.09)
        foot = at(step, 0.06 + lift, side * 0.09)
        canvas.limb(at(0, 0.9, side * 0.08), knee, 0.085, look.legs, mark, tone)
        canvas.limb(knee, foot, 0.06, look.legs, mark, tone)
        if fine:
            toe = at(step + 0.16, 0.04 + lift, side * 0.09)
            canvas.limb(foot, toe, 0.045, (30, 30, 34), mark, tone)
            _arm(canvas, at, -arm * side, side, look, mark, tone)

    far = -1 if cos * (canvas.camera.lateral - x) + sin * z > 0 else 1
    side_limbs(far, light * 0.75)
    if fine:
        hem = 0.55 if look.long_coat else 0.86
        low = [at(0.1, hem, -0.15), at(0.1, hem, 0.15), at(-0.1, hem, 0.15), at(-0.1, hem, -0.15)]
        top = [at(0.09, 1.42, -0.21), at(0.09, 1.42, 0.21), at(-0.09, 1.42, 0.21), at(-0.09, 1.42, -0.21)]
        for i in range(4):
            canvas.polygon([low[i - 1], low[i], top[i], top[i - 1]], look.coat, mark, light)
        canvas.limb(at(0, 1.1, 0.03), at(0, 1.36, 0.03), 0.12, look.coat, mark, light * 1.12)
        if look.bag:
            canvas.limb(at(-0.16, 1.05, 0), at(-0.16, 1.3, 0), 0.13, (45, 40, 38), mark, light)
        canvas.limb(at(0, 1.4, 0), at(0.01, 1.5, 0), 0.06, look.skin, mark, light * 0.9)
    else:
        canvas.limb(at(0, 0.95, 0), at(0, 1.3, 0), 0.2, look.coat, mark, light)
    canvas.ball(at(0, 1.63, 0), 0.115 * s, look.hair, mark, light)
    if fine:
        canvas.ball(at(0.045, 1.59, 0), 0.095 * s, look.skin if cos < 0.3 else look.hair, mark, light)
    side_limbs(-far, light)


def _arm(canvas: Canvas, at: Place, swing: float, side: int, look: Look, mark: int, tone: float) -> None:
    elbow = at(swing * 0.5 - 0.02, 1.14, side * 0.27)
    hand = at(swing + 0.05, 0.92, side * 0.26)
    canvas.limb(at(0, 1.38, side * 0.22), elbow, 0.055, look.coat, mark, tone * 0.92)
    canvas.limb(elbow, hand, 0.045, look.coat, mark, tone * 0.92)
    canvas.ball(hand, 0.05, look.skin, mark, tone)


def draw_cyclist(
    canvas: Canvas, look: Look, instance: int, x: float, z: float, heading: float, phase: float
) -> None:
    """Draw a rider on a bicycle whose middle is at street point (x, z)."""
    mark = tag(BICYCLIST, instance)
    sin, cos = math.sin(heading), math.cos(heading)
    light = canvas.light.shade(0, 0.5, -0.85)

    def at(along: float, up: float, across: float = 0.0) -> Point:
        return (x + along * sin + across * cos, up, z + along * cos - across * sin)

    steel: Color = (look.legs[2], look.legs[0], look.coat[1])
    wheels = (0.52, -0.52) if cos > 0 else (-0.52, 0.52)
    for hub in wheels:
        rim = [
            at(hub + 0.34 * math.cos(k * math.pi / 8), 0.34 + 0.34 * math.sin(k * math.pi / 8))
            for k in range(16)
        ]
        canvas.polygon(rim, (92, 92, 92), mark)
        for k in range(16):
            canvas.limb(rim[k], rim[k - 1], 0.025, (26, 26, 26), mark)
    seat, crank, head = at(-0.2, 0.92), at(-0.05, 0.3), at(0.4, 0.9)
    for a, b in (
        (seat, crank),
        (crank, head),
        (at(-0.17, 0.82), at(0.37, 0.82)),
        (at(-0.52, 0.34), crank),
        (at(0.52, 0.34), head),
    ):
        canvas.limb(a, b, 0.022, steel, mark)
    canvas.limb(at(0.42, 0.98, -0.27), at(0.42, 0.98, 0.27), 0.02, (30, 30, 30), mark)
    hip, neck = at(-0.2, 1.0), at(0.12, 1.48)
    limbs = []
    for side in (-1, 1):
        turn = phase + (0 if side > 0 else math.pi)
        pedal = at(-0.05 + 0.16 * math.cos(turn), 0.3 + 0.16 * math.sin(turn), side * 0.12)
        knee = at(0.16 + 0.1 * math.cos(turn), 0.72 + 0.1 * math.sin(turn), side * 0.11)
        limbs.append((at(-0.18, 0.98, side * 0.08), knee, 0.085, look.legs))
        limbs.append((knee, pedal, 0.06, look.legs))
        limbs.append((at(0.1, 1.4, side * 0.18), at(0.4, 1.02, side * 0.25), 0.05, look.coat))
    for a, b, radius, color in limbs:
        canvas.limb(a, b, radius, color, mark, light * 0.9)
    canvas.limb(hip, at(0.06, 1.36), 0.16, look.coat, mark, light)
    canvas.limb(at(0.06, 1.32, -0.12), at(0.06, 1.32, 0.12), 0.1, look.coat, mark, light * 1.05)
    canvas.limb(neck, at(0.15, 1.55), 0.06, look.skin, mark, light)
    canvas.ball(at(0.18, 1.64), 0.115, look.skin if cos < 0 else look.hair, mark, light)
    if look.bag:
        canvas.limb(at(0.1, 1.74), at(0.22, 1.74), 0.1, look.coat, mark, light * 1.3)
