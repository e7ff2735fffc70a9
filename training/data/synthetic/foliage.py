"""Trees and hedges as pictures with alpha."""

from __future__ import annotations

import cv2
import numpy as np

from training.data.synthetic.texture import Array, Texture, make_texture, noise

_LEAVES = ((40, 88, 66), (48, 104, 88), (36, 78, 72), (52, 110, 120), (44, 92, 62), (60, 84, 84))
_BARK = ((52, 60, 70), (64, 72, 80), (44, 50, 58))


def _with_alpha(color: Array, alpha: Array) -> Array:
    return np.dstack([np.clip(color, 0, 255), np.clip(alpha, 0, 255)]).astype(np.uint8)


def _leaf_color(rng: np.random.Generator, height: int, width: int) -> Array:
    """Clumps that are light above and dark below, float32 [h,w,3]."""
    base = np.array(_LEAVES[rng.integers(len(_LEAVES))], np.float32) * rng.uniform(0.7, 1.25)
    clump = noise(rng, height, width, (14, 22))
    lit = clump - np.roll(clump, -7, axis=0)
    fine = noise(rng, height, width, (1, 3))
    color: Array = base * (1 + 0.3 * lit + 0.24 * fine)[..., None]
    return color


def make_tree(rng: np.random.Generator, bare: bool) -> Texture:
    """A tree of 5 to 11 m; `bare` for twigs without leaves."""
    height_m = float(rng.uniform(5, 11))
    width_m = height_m * float(rng.uniform(0.55, 0.95))
    h, w = 256, int(256 * width_m / height_m)
    color, alpha = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.uint8)
    bark = np.array(_BARK[rng.integers(len(_BARK))], np.float32)
    color[:] = bark
    trunk = int(rng.uniform(0.012, 0.024) * h) + 1
    _branch(alpha, rng, (w / 2, h - 1.0), -np.pi / 2, h * 0.24, trunk * 2.0, 7 if bare else 4, h)
    if bare:
        density = cv2.GaussianBlur(alpha, (0, 0), 5)
        twigs = (density > 20) & (np.arange(h)[:, None] < 0.72 * h)
        hair = np.abs(noise(rng, h, w, (5, 9))) < 0.32
        alpha[twigs & hair] = np.maximum(alpha[twigs & hair], 200)
        alpha[twigs] = np.maximum(alpha[twigs], 104)
        color *= (1.25 + 0.18 * noise(rng, h, w, (3, 20)))[..., None]
        return make_texture(_with_alpha(color, alpha), width_m, height_m)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    shape = np.full((h, w), -9.0, np.float32)
    for _ in range(8):
        cx, cy = w / 2 + rng.uniform(-0.24, 0.24) * w, h * rng.uniform(0.22, 0.55)
        rx, ry = w * rng.uniform(0.17, 0.27), h * rng.uniform(0.13, 0.22)
        shape = np.maximum(shape, 1 - ((xx - cx) / rx) ** 2 - ((yy - cy) / ry) ** 2)
    crown = shape + 0.22 * noise(rng, h, w, (5, 11)) > 0.12
    leaves = _leaf_color(rng, h, w) * (1.18 - 0.55 * yy / h)[..., None]
    color[crown] = leaves[crown]
    color[~crown & (alpha == 0)] = leaves.mean((0, 1))
    alpha[crown] = 255
    holes = crown & (shape < 0.5) & (noise(rng, h, w, (4,)) > 1.5)
    alpha[holes] = 0
    return make_texture(_with_alpha(color, alpha), width_m, height_m)


def _branch(
    alpha: Array,
    rng: np.random.Generator,
    foot: tuple[float, float],
    angle: float,
    length: float,
    thick: float,
    depth: int,
    height: int,
) -> None:
    tip = (foot[0] + float(np.cos(angle)) * length, foot[1] + float(np.sin(angle)) * length)
    start, end = (round(foot[0]), round(foot[1])), (round(tip[0]), round(tip[1]))
    cv2.line(alpha, start, end, 255, max(1, round(thick)), cv2.LINE_AA)
    inside = 0.06 * height < tip[1] and 0.06 * alpha.shape[1] < tip[0] < 0.94 * alpha.shape[1]
    if depth == 0 or not inside:
        return
    for _ in range(2 if depth < 6 else 3):
        turn = rng.uniform(-0.62, 0.62)
        _branch(
            alpha, rng, tip, angle + turn, length * rng.uniform(0.62, 0.88), thick * 0.62, depth - 1, height
        )


def make_hedge(rng: np.random.Generator) -> Texture:
    """A strip of hedge, ragged at the top."""
    h, w = 96, 256
    edge = 12 + 5 * noise(rng, 1, w, (3, 12))[0]
    alpha = np.where(np.arange(h)[:, None] > edge[None], 255, 0)
    color = _leaf_color(rng, h, w) * np.linspace(1.15, 0.6, h, dtype=np.float32)[:, None, None]
    return make_texture(_with_alpha(color, alpha), 4.0, 1.5)


def make_railing(rng: np.random.Generator) -> Texture:
    """Bars and rails with gaps one can see through."""
    h, w = 64, 160
    color = np.full(
        (h, w, 3), np.array([(52, 54, 54), (150, 152, 150), (60, 78, 50)][rng.integers(3)]), np.float32
    )
    alpha = np.full((h, w), 38, np.uint8)
    for x in range(2, w, int(rng.integers(6, 11))):
        alpha[4:, x : x + 2] = 255
    alpha[4:9] = 255
    alpha[-10:-6] = 255
    alpha[:, :5] = alpha[:, -5:] = 255
    return make_texture(_with_alpha(color, alpha), 2.2, 1.05)


def make_boards(rng: np.random.Generator) -> Texture:
    """A close-boarded wooden fence."""
    h, w = 72, 96
    base = np.array([(70, 100, 130), (60, 76, 96), (96, 112, 122)][rng.integers(3)], np.float32)
    boards = np.repeat(rng.uniform(0.8, 1.15, (1, w // 6)), 6, axis=1)
    color = base * boards[..., None] * (1 + 0.08 * noise(rng, h, w, (1, 9)))[..., None]
    color[:, ::6] *= 0.55
    return make_texture(np.clip(color, 0, 255).astype(np.uint8), 2.2, 1.6)
