"""Tiny files laid out exactly as the real data sets lay them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 12, 16


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Noise, uint8 [H,W,3] RGB."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def write_rgb(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Write RGB pixels; a JPEG comes back as it will be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return cv2.imread(str(path))[..., ::-1]


def write_ids(path: Path, ids: np.ndarray) -> None:
    """Write a one-channel picture of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), ids)


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def blocks(*ids: int, dtype: type = np.uint8) -> np.ndarray:
    """[HEIGHT,WIDTH] of vertical stripes of equal width, one for each id."""
    return np.repeat(np.array(ids, dtype), WIDTH // len(ids))[None].repeat(HEIGHT, 0)
