"""Boxes of things from masks alone, where nobody drew any: one around each connected piece of a thing class.

They are not drawn by hand: objects of a class that touch share a box, and a covered one may have several.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.source_spec import FolderSpec
from training.data.sources.folder import FolderSource
from training.data.sources.reading import read_ids
from training.errors import TrainingError

MIN_PIXELS = 40
MIN_WIDTH, MIN_HEIGHT = 4, 6  # slivers along a mask's border are not objects


def pieces(part: NDArray[np.bool_], min_pixels: int = MIN_PIXELS) -> NDArray[np.int64]:
    """The connected pieces of a class.

    Gaps of up to two pixels are closed first, to the picture's border too, so that what a thin pole or void
    contour cuts stays whole.

    Args:
        part: bool [H,W], where the class is.

    Returns:
        int64 [K,5], x, y, width, height and area with its gaps closed, top row first; smaller pieces and
        slivers left out.
    """
    closed = cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, found, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    found = found[1:].astype(np.int64)  # the first is what the class is not
    width, height, area = found[:, 2], found[:, 3], found[:, 4]
    return found[(area >= min_pixels) & (width >= MIN_WIDTH) & (height >= MIN_HEIGHT)]


def write_boxes(folder: Path, class_set: str | None = None, min_pixels: int = MIN_PIXELS) -> dict[str, int]:
    """Write boxes.json (COCO's form) into a labelled folder, see training/data/sources/folder.py.

    Args:
        class_set: name or file; the folder's own, or camvid, if None.

    Returns:
        How many boxes each thing class has.

    Raises:
        TrainingError: no labels, ids that are no classes, no things among them or in the masks, or the folder
            has a boxes.json.
    """
    out = folder / "boxes.json"
    if out.exists():
        raise TrainingError(f"{out} is there already: delete it to make another one")
    source = FolderSource(FolderSpec(name="masks", path=folder, class_set=class_set))
    classes = source.class_set
    if not source.labels:
        raise TrainingError(f"{folder} has no labels/: boxes are made of its masks")
    if not classes.things:
        raise TrainingError(f"class set '{classes.name}' has no things, which alone have boxes")
    images, annotations = [], []
    for number, (picture, label) in enumerate(zip(source.images, source.labels, strict=True), start=1):
        mask = read_ids(label)
        classes.check_mask(mask, label)
        height, width = mask.shape
        images.append({"id": number, "file_name": picture.name, "height": height, "width": width})
        annotations += [
            {"image_id": number, "category_id": item.id, "bbox": box, "area": area, "iscrowd": 0}
            for item in classes.things
            for *box, area in pieces(mask == item.id, min_pixels).tolist()
        ]
    if not annotations:
        things = ", ".join(item.name for item in classes.things)
        raise TrainingError(
            f"{folder / 'labels'}: no mask has a piece of a thing of class set '{classes.name}' ({things}), "
            "so no boxes.json was written: if they are of other classes, give --class-set or put classes.json"
            " beside labels/; if the pieces are small, --min-pixels"
        )
    numbered = [{"id": number, **item} for number, item in enumerate(annotations, start=1)]
    categories = [{"id": item.id, "name": item.name} for item in classes.things]
    out.write_text(json.dumps({"images": images, "annotations": numbered, "categories": categories}))
    return {item.name: sum(box["category_id"] == item.id for box in annotations) for item in classes.things}
