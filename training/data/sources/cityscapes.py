"""Cityscapes as published.

    leftImg8bit/SPLIT/CITY/CITY_000000_000019_leftImg8bit.png
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelTrainIds.png   if made, else
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelIds.png
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_instanceIds.png     optional, for boxes

Instance ids (cityscapesScripts, json2instanceImg.py): label id * 1000 + number for single objects; the bare
label id for stuff and for groups, which give no box but ignored regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.classes.cityscapes import (
    CITYSCAPES,
    LABEL_TO_CLASS,
    LAST_LABEL_ID,
    NOT_SCORED,
    label_id_lut,
)
from training.data.sample import Sample, no_boxes, no_labels
from training.data.source_spec import CityscapesSpec
from training.data.sources.base import file_key
from training.data.sources.instances import boxes_of_ids
from training.data.sources.reading import (
    check_same_size,
    list_pictures,
    make_sample,
    read_ids,
    read_picture,
    read_wide_ids,
)
from training.errors import TrainingError

Boxes = tuple[NDArray[np.float32], NDArray[np.int64]]

_ENDING = "_leftImg8bit"
_LAYOUT = "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png"
_LABEL_LUT = label_id_lut()
_THING_IDS = frozenset(item.id for item in CITYSCAPES.things)
_THINGS = {label: index for label, index in LABEL_TO_CLASS.items() if index in _THING_IDS}


@dataclass(frozen=True)
class _Frame:
    name: str
    image: Path
    labels: Path | None
    instances: Path | None


class CityscapesSource:
    """See the module; the test split, whose labels are not published, gives pictures alone.

    Raises:
        TrainingError: a folder or a label is missing.
    """

    def __init__(self, spec: CityscapesSpec) -> None:
        self.class_set = CITYSCAPES
        pictures = list_pictures(spec.path / "leftImg8bit" / spec.split, _LAYOUT, below=True)
        self.frames = [_frame(spec, path) for path in pictures]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        image, mask = read_picture(frame.image), None
        if frame.labels is not None:
            mask = read_ids(frame.labels)
            check_same_size(image, frame.image, mask, frame.labels)
            if frame.labels.stem.endswith("_labelIds"):
                mask = class_ids(mask, frame.labels)
            self.class_set.check_mask(mask, frame.labels)
        if frame.instances is None:
            return make_sample(self.class_set, frame.name, image, mask)
        ids = read_wide_ids(frame.instances)
        check_same_size(image, frame.image, ids, frame.instances)
        single = ids >= 1000
        objects = objects_and_groups(ids, np.where(single, ids // 1000, ids), single)
        return make_sample(self.class_set, frame.name, image, mask, *objects)

    def key(self, index: int) -> str:
        frame = self.frames[index]
        files = [path for path in (frame.image, frame.labels, frame.instances) if path]
        return file_key(files, "cityscapes, ignored regions, caravans")


def _frame(spec: CityscapesSpec, image: Path) -> _Frame:
    if not image.stem.endswith(_ENDING):
        raise TrainingError(f"{image} is not named as Cityscapes names its frames: expected {_LAYOUT}")
    name = image.stem.removesuffix(_ENDING)
    if spec.split == "test":
        return _Frame(name, image, None, None)
    folder = spec.path / "gtFine" / spec.split / image.parent.name
    candidates = [folder / f"{name}_gtFine_{kind}.png" for kind in ("labelTrainIds", "labelIds")]
    labels = next((path for path in candidates if path.is_file()), None)
    if labels is None:
        raise TrainingError(f"{image} has no label: expected {candidates[1]}")
    instances = folder / f"{name}_gtFine_instanceIds.png"
    return _Frame(name, image, labels, instances if instances.is_file() else None)


def class_ids(label_ids: NDArray[np.uint8], where: Path) -> NDArray[np.uint8]:
    """Cityscapes' label ids uint8 [H,W] as class ids (train ids) uint8 [H,W].

    Raises:
        TrainingError: an id that is no label; 255, as some tools write -1, is void.
    """
    wrong = (label_ids > LAST_LABEL_ID) & (label_ids != 255)
    if wrong.any():
        raise TrainingError(
            f"{where} holds label id {label_ids[wrong].max()} ({wrong.sum()} pixels); Cityscapes' are "
            f"0..{LAST_LABEL_ID}"
        )
    return _LABEL_LUT[label_ids]


def objects_and_groups(
    ids: NDArray[np.int64], label_ids: NDArray[np.int64], single: NDArray[np.bool_]
) -> tuple[Boxes, Boxes]:
    """Boxes of single objects and of groups, whose labels are things that are trained.

    Args:
        ids: int64 [H,W], one number an object.
        label_ids: int64 [H,W], Cityscapes' label id of each pixel's object or group.
        single: bool [H,W], pixels of single objects.

    Returns:
        For objects, and for the connected pieces of groups and of what is not scored: float32 [K,4] and class
        ids int64 [K].
    """
    counted = single & np.isin(label_ids, list(_THINGS))
    found, boxes = boxes_of_ids(ids, counted)
    label_of = dict(zip(ids[counted].tolist(), label_ids[counted].tolist(), strict=True))
    classes = np.array([_THINGS[label_of[item]] for item in found.tolist()], np.int64)
    return (boxes, classes), _pieces(np.where(counted, 0, label_ids))


def _pieces(label_ids: NDArray[np.int64]) -> Boxes:
    """Boxes of the connected pieces of things in label ids int64 [H,W]."""
    boxes, classes = [no_boxes()], [no_labels()]
    for label, class_id in (_THINGS | NOT_SCORED).items():
        _, _, stats, _ = cv2.connectedComponentsWithStats((label_ids == label).astype(np.uint8))
        corner, size = stats[1:, :2], stats[1:, 2:4]  # the first is what the label is not
        boxes.append(np.hstack([corner, corner + size]).astype(np.float32))
        classes.append(np.full(len(corner), class_id, np.int64))
    return np.concatenate(boxes), np.concatenate(classes)
