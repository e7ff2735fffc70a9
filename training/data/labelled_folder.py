"""Reads a labelled folder: `images/NAME.jpg|png` with `labels/NAME.png` (uint8 class ids).

CamVid is kept in this layout, and the synthetic renderer writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from training.data.sample import VOID_ID, Sample
from training.errors import TrainingError

SUFFIXES = (".jpg", ".jpeg", ".png")


def list_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(image, label) paths in order of name.

    Raises:
        TrainingError: no images, or an image without its label.
    """
    images = sorted(p for p in (folder / "images").glob("*") if p.suffix.lower() in SUFFIXES)
    if not images:
        raise TrainingError(f"no images in {folder / 'images'}: expected NAME.jpg or NAME.png there")
    pairs = [(image, folder / "labels" / f"{image.stem}.png") for image in images]
    for image, label in pairs:
        if not label.is_file():
            raise TrainingError(f"{image} has no label: expected {label}")
    return pairs


def read_sample(image_path: Path, label_path: Path, size: tuple[int, int]) -> Sample:
    """Read one pair and bring it to `size` (height, width) if it is not that already.

    Raises:
        TrainingError: unreadable file, different sizes, or a class id that is not known.
    """
    image = cv2.imread(str(image_path), cv2.IMREAD_COLOR)
    mask = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
    if image is None or mask is None:
        raise TrainingError(f"cannot decode {image_path if image is None else label_path}")
    if image.shape[:2] != mask.shape:
        raise TrainingError(f"{image_path} is {image.shape[:2]} but its label {label_path} is {mask.shape}")
    if int(mask.max()) > VOID_ID:
        raise TrainingError(f"{label_path} holds class id {mask.max()}; known are 0..{VOID_ID}")
    height, width = size
    if mask.shape != size:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return Sample(
        image_path.stem, cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8), mask.astype(np.uint8)
    )


def read_folder(folder: Path, size: tuple[int, int]) -> Iterator[Sample]:
    """Every sample of a labelled folder, in order of name, at `size` (height, width)."""
    for image, label in list_pairs(folder):
        yield read_sample(image, label, size)
