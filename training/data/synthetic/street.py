"""Lays out a street: its cross-section, and what stands along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.synthetic import facade, foliage
from training.data.synthetic.classes import FENCE, TREE
from training.data.synthetic.furniture import SIGN_KINDS
from training.data.synthetic.ground import Cross
from training.data.synthetic.light import Color, Light
from training.data.synthetic.texture import Texture
from training.data.synthetic.things import Building, Panel, Post, Thing, Upright

STYLES = ("high_street", "terrace", "suburb", "park", "centre")
_STYLE_SHARES = (0.27, 0.24, 0.15, 0.13, 0.21)
_SIGN_COLORS: tuple[Color, ...] = ((150, 80, 20), (60, 110, 30), (40, 40, 170), (200, 200, 200), (60, 40, 30))


@dataclass(frozen=True)
class Street:
    """A street: cross-section, junctions (z0, z1) and standing things, in metres from its start."""

    style: str
    cross: Cross
    junctions: list[tuple[float, float]]
    things: list[Thing]
    built: float


def make_cross(style: str, rng: np.random.Generator) -> Cross:
    """Draw widths and surfaces."""
    half = float(rng.uniform(3.2, 5.2)) + (1.5 if style in ("park", "centre") and rng.random() < 0.4 else 0.0)
    verge = float(rng.uniform(1.2, 3.0)) if style in ("park", "suburb") and rng.random() < 0.6 else 0.0
    pavement = half + verge + float(rng.uniform(2.4, 6.0))
    grey = rng.uniform(82, 138)
    asphalt = (grey * rng.uniform(0.98, 1.08), grey, grey * rng.uniform(0.95, 1.03))
    light = grey * rng.uniform(1.0, 1.4) + 8
    paving = (
        light * rng.uniform(0.88, 1.02),
        light * rng.uniform(0.95, 1.0),
        light * rng.uniform(0.98, 1.06),
    )
    green = rng.uniform(0.75, 1.2)
    grass = (52 * green, 104 * green, 82 * green * rng.uniform(0.8, 1.2))
    return Cross(
        half,
        verge,
        pavement,
        asphalt,
        paving,
        grass,
        beyond_grass=style in ("park", "suburb") or bool(rng.random() < 0.15),
        marks=str(rng.choice(["dashed", "dashed", "solid", "none"])),
        edge_lines=int(rng.choice([0, 0, 1, 2])),
        mark_shade=float(rng.uniform(0.45, 0.95)),
        contrast=float(rng.uniform(0.05, 0.13)),
    )


def make_street(rng: np.random.Generator, light: Light, length: float) -> Street:
    """Lay out a street of `length` metres."""
    style = str(rng.choice(STYLES, p=_STYLE_SHARES))
    cross = make_cross(style, rng)
    kinds = {
        "high_street": ("shops",),
        "terrace": ("house",),
        "suburb": ("house",),
        "park": ("house", "modern"),
        "centre": ("shops", "modern"),
    }[style]
    fronts = [facade.make_facade(rng, kinds[i % len(kinds)], light.lamps) for i in range(8)]
    walls = [facade.make_wall(rng) for _ in range(2)]
    roofs = [facade.make_roof(rng) for _ in range(2)]
    bare = bool(rng.random() < 0.4)
    trees = [foliage.make_tree(rng, bare if i else not bare) for i in range(5)]
    junctions: list[tuple[float, float]] = []
    z = float(rng.uniform(15, 90))
    while z < length:
        junctions.append((z, z + float(rng.uniform(6, 10))))
        z += float(rng.uniform(60, 140))
    things: list[Thing] = []
    gap_share = {"high_street": 0.06, "terrace": 0.12, "suburb": 0.25, "park": 0.7, "centre": 0.12}[style]
    setback = {"high_street": 0.0, "terrace": 1.5, "suburb": 5.0, "park": 4.0, "centre": 0.0}[style]
    sheets = (foliage.make_railing(rng), foliage.make_boards(rng), foliage.make_hedge(rng))
    for side in (-1, 1):
        _frontage(
            things,
            rng,
            side,
            length,
            cross,
            junctions,
            fronts,
            walls,
            roofs,
            trees,
            sheets,
            gap_share,
            setback,
        )
        _furniture(things, rng, side, length, cross, junctions, trees, sheets[0], style)
    return Street(style, cross, junctions, things, 1 - 0.6 * gap_share)


def _in_junction(junctions: list[tuple[float, float]], z0: float, z1: float) -> float | None:
    """The end of a junction that [z0, z1] touches, or None."""
    for a, b in junctions:
        if z0 < b + 1.5 and z1 > a - 1.5:
            return b + 1.5
    return None


def _frontage(
    things: list[Thing],
    rng: np.random.Generator,
    side: int,
    length: float,
    cross: Cross,
    junctions: list[tuple[float, float]],
    fronts: list[Texture],
    walls: list[Texture],
    roofs: list[Texture],
    trees: list[Texture],
    sheets: tuple[Texture, Texture, Texture],
    gap_share: float,
    setback: float,
) -> None:
    """Buildings, and gardens or parks between them, along one side."""
    z = -12.0
    edge = cross.pavement
    railing, boards, hedge = sheets
    while z < length:
        gap = rng.random() < gap_share
        front = fronts[rng.integers(len(fronts))]
        size = float(rng.uniform(8, 26)) if gap else front.width_m
        jump = _in_junction(junctions, z, z + size)
        if jump is not None:
            z = jump
            continue
        border = None
        if gap or (setback > 1 and rng.random() < 0.75):
            border = (railing, boards, hedge)[rng.integers(3)]
            start = z
            while start < z + size - 0.5:
                class_id = TREE if border is hedge else FENCE
                end = min(z + size, start + border.width_m)
                things.append(Panel(side * (edge + 0.1), start, end, border, class_id, border is railing))
                start = end
        if gap:
            for _ in range(max(1, int(size / 5))):
                tree = trees[rng.integers(len(trees))]
                x = edge + float(rng.uniform(2.0, 12))
                things.append(Upright(side * x, z + float(rng.uniform(0, size)), tree, TREE))
        else:
            roof = roofs[rng.integers(2)] if rng.random() < 0.7 and front.height_m < 14 else None
            x = edge + setback * float(rng.uniform(0.8, 1.2)) + 0.15
            things.append(Building(side * x, z, z + size, front, walls[rng.integers(2)], roof))
            if setback > 3 and rng.random() < 0.3:
                tree = trees[rng.integers(len(trees))]
                things.append(Upright(side * (edge + 2.0), z + size / 2, tree, TREE))
        z += size + (float(rng.uniform(1, 4)) if setback > 3 else 0.0)


def _furniture(
    things: list[Thing],
    rng: np.random.Generator,
    side: int,
    length: float,
    cross: Cross,
    junctions: list[tuple[float, float]],
    trees: list[Texture],
    railing: Texture,
    style: str,
) -> None:
    """Lamps, signs, signals, street trees, bollards and kerb railings along one side."""
    kerb = cross.half_road + 0.5
    metal: Color = [(96, 100, 98), (60, 62, 60), (60, 80, 40), (150, 152, 150)][rng.integers(4)]
    height, arm = float(rng.uniform(5.5, 9)), -side * float(rng.uniform(0.5, 1.8))
    pitch = float(rng.uniform(18, 34))
    for z in np.arange(float(rng.uniform(0, pitch)), length, pitch):
        things.append(Post(side * kerb, float(z), "lamp", height, arm, metal))
    for z in np.cumsum(rng.uniform(12, 50, int(length / 20))):
        kind = SIGN_KINDS[rng.integers(len(SIGN_KINDS))]
        color = _SIGN_COLORS[rng.integers(len(_SIGN_COLORS))]
        tall = float(rng.uniform(2.2, 3.0))
        things.append(Post(side * (kerb + float(rng.uniform(0, 0.6))), float(z), kind, tall, 0.0, color))
    for a, b in junctions:
        if rng.random() < 0.8:
            things.append(Post(side * kerb, a - 2.0 if side < 0 else b + 4.0, "signal", 3.3, 0.0, metal))
        if rng.random() < 0.6:
            for k in range(int(rng.integers(3, 9))):
                z0 = b + 3.0 + 2.2 * k
                things.append(Panel(side * (kerb - 0.2), z0, z0 + 2.2, railing, FENCE, True))
    if style in ("park", "suburb", "centre") or rng.random() < 0.35:
        pitch = float(rng.uniform(9, 22))
        for z in np.arange(float(rng.uniform(0, pitch)), length, pitch):
            if _in_junction(junctions, float(z), float(z)) is None and rng.random() < 0.7:
                things.append(Upright(side * (kerb + 0.5), float(z), trees[rng.integers(len(trees))], TREE))
    if rng.random() < 0.35:
        start = float(rng.uniform(0, length * 0.6))
        for z in np.arange(start, start + 30, float(rng.uniform(1.6, 3))):
            things.append(Post(side * (kerb - 0.1), float(z), "bollard", 0.95, 0.0, metal))
