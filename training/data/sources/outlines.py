"""Masks drawn from COCO outlines, by faster-coco-eval's own mask functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from numpy.typing import NDArray

from training.data.sources.coco_json import CocoImage
from training.errors import TrainingError


def draw_outlines(entry: CocoImage, size: tuple[int, int], rest: int, path: Path) -> NDArray[np.uint8]:
    """Class ids of a picture, uint8 [H,W]; `rest` where no outline is.

    COCO has no order of drawing: the largest outline is drawn first, so that a sign on a wall stays a sign.

    Args:
        size: height and width of the picture.
        path: the annotation file, for errors.

    Raises:
        TrainingError: an outline is missing or malformed, or of a picture of another size.
    """
    pieces = [(_pixels(outline, size, entry, path), label) for outline, label in entry.outlines]
    mask = np.full(size, rest, np.uint8)
    for covered, label in sorted(pieces, key=lambda piece: -int(piece[0].sum())):
        mask[covered] = label
    return mask


def _pixels(outline: Any, size: tuple[int, int], entry: CocoImage, path: Path) -> NDArray[np.bool_]:
    where = f"{path}, {entry.file_name}"
    if not outline:
        raise TrainingError(
            f"{where}: an annotation has a box and no outline ('segmentation'): draw it, or do without "
            "masks: true"
        )
    height, width = size
    try:
        if isinstance(outline, list):
            code = coco_mask.merge(coco_mask.frPyObjects(_polygons(outline, size), height, width))
        elif tuple(outline["size"]) != size:
            raise ValueError(f"it is of {outline['size']}, height and width, and the picture of {list(size)}")
        elif isinstance(outline["counts"], list):
            code = coco_mask.frPyObjects(outline, height, width)
        else:
            code = outline
        covered = coco_mask.decode(code)
    except (TypeError, KeyError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{where}: a 'segmentation' is neither polygons [[x, y, x, y, x, y, ...], ...] nor a run-length "
            f"code {{size, counts}} ({type(error).__name__}: {error})"
        ) from error
    return np.asarray(covered, np.bool_)


def _polygons(outline: list[Any], size: tuple[int, int]) -> list[list[float]]:
    """Checked, as the library takes memory by the coordinates; a picture's size around it is allowed."""
    height, width = size
    for polygon in outline:
        points = np.asarray(polygon, np.float64)
        if points.ndim != 1 or points.size < 6 or points.size % 2:
            raise ValueError(f"a polygon has {points.size} coordinates")
        limits = np.array([width, height], np.float64)
        points = points.reshape(-1, 2)
        if not ((points >= -limits) & (points <= 2 * limits)).all():
            raise ValueError(f"a corner at {points.min(0)} or {points.max(0)} is far outside the picture")
    return outline
