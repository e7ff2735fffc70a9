"""Fronts of buildings: brick, render or stone, rows of windows, shops and doors."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.synthetic.texture import Array, Texture, make_texture, noise, speckled

PX_PER_M = 26
WALLS = (
    (68, 86, 138),
    (60, 72, 120),
    (110, 148, 176),
    (125, 160, 182),
    (198, 214, 222),
    (212, 220, 222),
    (150, 160, 168),
    (128, 134, 140),
    (170, 196, 214),
    (92, 100, 112),
    (82, 110, 150),
    (176, 184, 180),
)
SHOPS = (
    (40, 40, 150),
    (120, 60, 20),
    (50, 90, 30),
    (30, 30, 30),
    (150, 120, 40),
    (60, 140, 200),
    (200, 200, 205),
    (90, 40, 90),
    (45, 110, 60),
    (170, 60, 30),
)


def make_facade(rng: np.random.Generator, kind: str, lamps: float) -> Texture:
    """A front of `kind` "shops", "house" or "modern"; some windows are lit when lamps > 0."""
    floor_m = rng.uniform(2.8, 3.5)
    floors = int(
        {"shops": rng.integers(2, 5), "house": rng.integers(2, 4), "modern": rng.integers(2, 7)}[kind]
    )
    width_m = float(rng.uniform(6, 14) if kind != "modern" else rng.uniform(10, 20))
    height_m = float(floors * floor_m + 0.6)
    h, w = int(height_m * PX_PER_M), int(width_m * PX_PER_M)
    wall = np.array(WALLS[rng.integers(len(WALLS))], np.float32) * rng.uniform(0.72, 1.05)
    picture = np.full((h, w, 3), wall, np.float32).astype(np.uint8)
    picture = speckled(picture, noise(rng, h, w, (2, 2, 40), cell=2.5), 0.07)
    if rng.random() < 0.5:
        picture[:: max(3, PX_PER_M // 6)] = (picture[:: max(3, PX_PER_M // 6)] * 0.9).astype(np.uint8)
    if kind == "modern" and rng.random() < 0.6:
        _glass_wall(picture, rng, floors, floor_m, lamps)
    else:
        _windows(picture, rng, floors, floor_m, lamps, ground=kind != "shops")
    if kind == "shops":
        _shop(picture, rng, lamps)
    elif kind == "house":
        _door(picture, rng)
    cornice = int(0.35 * PX_PER_M)
    picture[:cornice] = np.clip(picture[:cornice] * rng.uniform(0.6, 1.15), 0, 255)
    picture[cornice : cornice + 3] = picture[cornice : cornice + 3] // 2
    pipe = int(rng.integers(2, w - 4))
    if kind != "shops":
        picture[:, pipe : pipe + 2] = picture[:, pipe : pipe + 2] // 2
    return make_texture(picture, width_m, height_m)


def _pane(rng: np.random.Generator, lamps: float) -> tuple[Array, Array]:
    """Top and bottom colour of a window pane: a lit room, or dark glass that mirrors some sky."""
    if rng.random() < 0.35 * lamps:
        warm = np.array([120, 200, 250], np.float32) * rng.uniform(0.8, 1.0)
        return warm, warm * 0.85
    dark = np.array([58, 52, 46], np.float32) * rng.uniform(0.5, 1.5)
    return dark + rng.uniform(0, 90), dark


def _fill(picture: Array, box: tuple[int, int, int, int], top: Array, bottom: Array) -> None:
    x0, y0, x1, y1 = box
    part = picture[max(y0, 0) : y1, max(x0, 0) : x1]
    if part.size:
        t = np.linspace(0, 1, part.shape[0], dtype=np.float32)[:, None, None]
        part[:] = np.clip(top * (1 - t) + bottom * t, 0, 255)


def _windows(
    picture: Array, rng: np.random.Generator, floors: int, floor_m: float, lamps: float, ground: bool
) -> None:
    h, w = picture.shape[:2]
    pitch = rng.uniform(1.9, 3.2) * PX_PER_M
    ww, wh = int(rng.uniform(0.8, 1.3) * PX_PER_M), int(rng.uniform(1.2, 1.8) * PX_PER_M)
    frame = tuple(float(c) for c in np.array([225, 228, 230]) * rng.choice([1.0, 0.9, 0.3]))
    sill, lintel = bool(rng.random() < 0.6), bool(rng.random() < 0.4)
    count = max(1, int((w - 0.5 * pitch) / pitch))
    margin = (w - count * pitch) / 2
    for floor in range(0 if ground else 1, floors):
        y0 = int(h - floor * floor_m * PX_PER_M - 0.95 * PX_PER_M - wh)
        for i in range(count):
            x0 = int(margin + (i + 0.5) * pitch - ww / 2)
            cv2.rectangle(picture, (x0 - 2, y0 - 2), (x0 + ww + 1, y0 + wh + 1), frame, -1)
            top, bottom = _pane(rng, lamps)
            _fill(picture, (x0, y0, x0 + ww, y0 + wh), top, bottom)
            cv2.line(picture, (x0, y0 + wh // 2), (x0 + ww - 1, y0 + wh // 2), frame, 1)
            cv2.line(picture, (x0 + ww // 2, y0), (x0 + ww // 2, y0 + wh - 1), frame, 1)
            if sill:
                cv2.rectangle(picture, (x0 - 4, y0 + wh + 1), (x0 + ww + 3, y0 + wh + 4), (190, 195, 198), -1)
            if lintel:
                cv2.rectangle(picture, (x0 - 4, y0 - 7), (x0 + ww + 3, y0 - 3), (170, 180, 188), -1)


def _glass_wall(picture: Array, rng: np.random.Generator, floors: int, floor_m: float, lamps: float) -> None:
    h, w = picture.shape[:2]
    step = rng.uniform(1.0, 1.8) * PX_PER_M
    band = int(rng.uniform(0.5, 1.1) * PX_PER_M)
    for floor in range(floors):
        y1 = int(h - floor * floor_m * PX_PER_M - band)
        y0 = int(h - (floor + 1) * floor_m * PX_PER_M + 2)
        for x in np.arange(2.0, w - step, step):
            top, bottom = _pane(rng, lamps)
            _fill(picture, (int(x), y0, int(x + step) - 3, y1), top, bottom)


def _shop(picture: Array, rng: np.random.Generator, lamps: float) -> None:
    h, w = picture.shape[:2]
    x = 0
    while x < w - PX_PER_M:
        x1 = min(w, x + int(rng.uniform(4, 8) * PX_PER_M))
        if w - x1 < 2 * PX_PER_M:
            x1 = w
        paint = np.array(SHOPS[rng.integers(len(SHOPS))], np.float32) * rng.uniform(0.8, 1.2)
        paint_color = tuple(float(c) for c in paint)
        top = h - int(rng.uniform(3.0, 3.4) * PX_PER_M)
        cv2.rectangle(picture, (x, top), (x1 - 1, h), paint_color, -1)
        fascia = int(0.7 * PX_PER_M)
        ink = (235.0, 238.0, 240.0) if paint.mean() < 130 else (40.0, 35.0, 35.0)
        tx = x + int(0.6 * PX_PER_M)
        while tx < x1 - PX_PER_M:
            letter = int(rng.uniform(0.1, 0.3) * PX_PER_M) + 2
            y0 = top + fascia // 4 + int(rng.integers(0, 4))
            cv2.rectangle(
                picture, (tx, y0), (tx + letter, top + fascia * 3 // 4), ink, int(rng.choice([1, 2, -1]))
            )
            tx += letter + 3 + (int(0.3 * PX_PER_M) if rng.random() < 0.15 else 0)
        glass_top, glass_bottom = top + fascia + 3, h - int(0.45 * PX_PER_M)
        px = x + 5
        while px < x1 - 12:
            pw = int(rng.uniform(1.0, 1.8) * PX_PER_M)
            upper, lower = _pane(rng, max(lamps, 0.25))
            _fill(picture, (px, glass_top, min(px + pw, x1 - 5), glass_bottom), upper * 0.8, lower)
            for _ in range(4):
                gx, gy = int(rng.integers(px, px + pw)), int(rng.integers(glass_top + 10, glass_bottom))
                good = tuple(float(c) for c in rng.uniform(30, 220, 3))
                cv2.rectangle(picture, (gx, gy), (min(gx + 8, x1 - 7), min(gy + 10, glass_bottom)), good, -1)
            px += pw + 4
        cv2.line(picture, (x1 - 1, top), (x1 - 1, h), (40, 40, 40), 2)
        x = x1


def _door(picture: Array, rng: np.random.Generator) -> None:
    h, w = picture.shape[:2]
    for x in np.arange(1.2, w / PX_PER_M - 1.5, rng.uniform(4.5, 7)):
        paint = tuple(float(c) for c in np.array(SHOPS[rng.integers(len(SHOPS))]) * 0.8)
        x0 = int(x * PX_PER_M)
        cv2.rectangle(picture, (x0 - 3, h - int(2.2 * PX_PER_M)), (x0 + PX_PER_M + 3, h), (215, 220, 222), -1)
        cv2.rectangle(picture, (x0, h - int(2.1 * PX_PER_M)), (x0 + PX_PER_M, h), paint, -1)


def make_roof(rng: np.random.Generator) -> Texture:
    """Slates or tiles."""
    base = np.array([(72, 70, 70), (60, 72, 110), (88, 84, 82), (52, 60, 84)][rng.integers(4)], np.float32)
    picture = speckled(np.full((128, 256, 3), base, np.float32), noise(rng, 128, 256, (2, 4, 32), 2.0), 0.16)
    picture[::7] = picture[::7] * 3 // 4
    return make_texture(picture, 10.0, 5.0)


def make_wall(rng: np.random.Generator) -> Texture:
    """A plain wall, for gable ends and garden walls."""
    base = np.array(WALLS[rng.integers(len(WALLS))], np.float32) * 0.85
    picture = speckled(np.full((160, 160, 3), base, np.float32), noise(rng, 160, 160, (2, 2, 24), 2.5), 0.09)
    return make_texture(picture, 8.0, 8.0)
