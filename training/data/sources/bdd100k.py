"""BDD100K as published.

    images/100k/SPLIT/NAME.jpg             with detection, drivable and lane labels
    images/10k/SPLIT/NAME.jpg              with semantic labels
    labels/det_20/det_SPLIT.json           boxes, Scalabel's form
    labels/drivable/masks/SPLIT/NAME.png   0 direct, 1 alternative, 2 background
    labels/lane/masks/SPLIT/NAME.png       bits 0-2 category, 3 background, 4 style, 5 direction
    labels/sem_seg/masks/SPLIT/NAME.png    0..18, 255 unknown

Format: bdd100k toolkit, doc/source/format.rst and bdd100k/eval/lane.py. Categories that are not scored and
objects with the attribute `crowd` are ignored regions (bdd100k/configs/det.toml).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_perception.strict import did_you_mean
from training.data.class_set import ClassSet
from training.data.classes.bdd100k import (
    BDD100K,
    BDD100K_DRIVABLE,
    BDD100K_LANE,
    LABEL_NAMES,
    NOT_OBJECTS,
    NOT_SCORED,
)
from training.data.sample import Sample
from training.data.source_spec import Bdd100kSpec
from training.data.sources.base import file_key
from training.data.sources.reading import (
    check_same_size,
    list_pictures,
    make_sample,
    read_ids,
    read_json,
    read_picture,
)
from training.errors import TrainingError

Boxes = tuple[list[list[float]], list[int]]
Objects = tuple[Boxes, Boxes]  # that count, and regions to ignore
# mask -> (class set, folder of its labels)
_MASKS: dict[str, tuple[ClassSet, str]] = {
    "semantic": (BDD100K, "sem_seg"),
    "drivable": (BDD100K_DRIVABLE, "drivable"),
    "lane": (BDD100K_LANE, "lane"),
    "none": (BDD100K, ""),
}
_CLASS_NAMES = LABEL_NAMES | NOT_SCORED
_LANE_CATEGORY, _LANE_BACKGROUND = 0b0111, 0b1000


class Bdd100kSource:
    """See the module. Frames that the detection file does not list have no known boxes.

    Raises:
        TrainingError: a folder, file or mask is missing, or the detection file holds an unknown category.
    """

    def __init__(self, spec: Bdd100kSpec) -> None:
        self.mask_kind = spec.mask
        self.class_set, masks = _MASKS[spec.mask]
        subset = "10k" if spec.mask == "semantic" else "100k"
        self.images = list_pictures(
            spec.path / "images" / subset / spec.split, f"images/{subset}/SPLIT/*.jpg"
        )
        self.boxes_file = spec.path / "labels" / "det_20" / f"det_{spec.split}.json"
        labelled = spec.split != "test"
        self.masks: list[Path] = []
        if labelled and masks:
            self.masks = _masks(spec.path / "labels" / masks / "masks" / spec.split, self.images)
        self.objects: dict[str, Objects] = {}
        if labelled and self.boxes_file.is_file():
            self.objects = read_boxes(self.boxes_file, self.class_set)
        elif labelled and spec.mask == "none":
            raise TrainingError(f"{self.boxes_file} is missing: set 'mask', or get the Detection 2020 labels")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[index]
        image, mask = read_picture(path), None
        if self.masks:
            mask = read_ids(self.masks[index])
            check_same_size(image, path, mask, self.masks[index])
            if self.mask_kind == "lane":
                mask = lane_categories(mask)
            self._check(mask, self.masks[index])
        if path.name not in self.objects:
            return make_sample(self.class_set, path.stem, image, mask)
        return make_sample(self.class_set, path.stem, image, mask, *self.objects[path.name])

    def key(self, index: int) -> str:
        files = [self.images[index], *self.masks[index : index + 1], self.boxes_file]
        return file_key(files, "bdd100k, ignored regions", self.mask_kind)

    def _check(self, mask: NDArray[np.uint8], where: Path) -> None:
        """Ids of the detection classes have no place in a drivable or lane mask."""
        self.class_set.check_mask(mask, where)
        if (
            self.mask_kind != "semantic"
            and ((mask > self.class_set.id_of("background")) & (mask < 255)).any()
        ):
            raise TrainingError(
                f"{where} holds class id {mask[mask < 255].max()}: is it a {self.mask_kind} mask?"
            )


def lane_categories(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lane markings' bits uint8 [H,W] as class ids of `bdd100k_lane`, uint8 [H,W]."""
    background = np.uint8(BDD100K_LANE.id_of("background"))
    return np.where(packed & _LANE_BACKGROUND, background, packed & _LANE_CATEGORY).astype(np.uint8)


def _masks(folder: Path, images: list[Path]) -> list[Path]:
    masks = [folder / f"{image.stem}.png" for image in images]
    for image, mask in zip(images, masks, strict=True):
        if not mask.is_file():
            raise TrainingError(f"{image} has no mask: expected {mask}")
    return masks


def read_boxes(path: Path, class_set: ClassSet) -> dict[str, Objects]:
    """Picture name -> objects and ignored regions, boxes and class ids each, from a file in Scalabel's form.

    Raises:
        TrainingError: not of this form, or a category that BDD100K does not have.
    """
    content = read_json(path)
    frames = content.get("frames", []) if isinstance(content, dict) else content
    try:
        return {str(frame["name"]): _objects(frame.get("labels") or [], class_set) for frame in frames}
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"{path} is not in Scalabel's form ({type(error).__name__}: {error}); expected a list of frames "
            "with 'name' and 'labels' (category, box2d)"
        ) from error
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from error


def _objects(labels: list[dict[str, Any]], class_set: ClassSet) -> Objects:
    counted: Boxes = ([], [])
    ignored: Boxes = ([], [])
    for label in labels:
        category = str(label["category"])
        if category in NOT_OBJECTS:
            continue
        name = _class_name(category)
        boxes, ids = ignored if category in NOT_SCORED or _is_crowd(label) else counted
        boxes.append([float(label["box2d"][side]) for side in ("x1", "y1", "x2", "y2")])
        ids.append(class_set.id_of(name))
    return counted, ignored


def _class_name(category: str) -> str:
    if category not in _CLASS_NAMES:
        raise TrainingError(f"unknown category '{category}' ({did_you_mean(category, _CLASS_NAMES)})")
    return _CLASS_NAMES[category]


def _is_crowd(label: dict[str, Any]) -> bool:
    return bool((label.get("attributes") or {}).get("crowd"))
