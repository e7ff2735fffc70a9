"""Cityscapes as published.

    leftImg8bit/SPLIT/CITY/CITY_000000_000019_leftImg8bit.png
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelTrainIds.png   if made, else
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelIds.png
    gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_instanceIds.png     optional, for boxes

Instance ids (cityscapesScripts, json2instanceImg.py): label id * 1000 + number for single objects; the bare
label id for stuff and for groups, which give no box.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.classes.cityscapes import CITYSCAPES, LABEL_TO_CLASS, LAST_LABEL_ID, label_id_lut
from training.data.sample import Sample
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

_ENDING = "_leftImg8bit"
_LAYOUT = "leftImg8bit/SPLIT/CITY/*_leftImg8bit.png"
_LABEL_LUT = label_id_lut()
_THING_IDS = frozenset(item.id for item in CITYSCAPES.things)


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
        image, mask, boxes = read_picture(frame.image), None, None
        if frame.labels is not None:
            mask = read_ids(frame.labels)
            check_same_size(image, frame.image, mask, frame.labels)
            if frame.labels.stem.endswith("_labelIds"):
                mask = class_ids(mask, frame.labels)
            self.class_set.check_mask(mask, frame.labels)
        if frame.instances is not None:
            ids = read_wide_ids(frame.instances)
            check_same_size(image, frame.image, ids, frame.instances)
            boxes = instance_boxes(ids, ids // 1000, ids >= 1000)
        return make_sample(self.class_set, frame.name, image, mask, boxes)

    def key(self, index: int) -> str:
        frame = self.frames[index]
        return file_key([p for p in (frame.image, frame.labels, frame.instances) if p], "cityscapes")


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


def instance_boxes(
    ids: NDArray[np.int64], label_ids: NDArray[np.int64], single: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes of single objects whose label is a thing that is trained.

    Args:
        ids: int64 [H,W], one number an object.
        label_ids: int64 [H,W], Cityscapes' label id of each pixel's object.
        single: bool [H,W], pixels of single objects.

    Returns:
        Float32 [K,4] and class ids int64 [K].
    """
    things = [label for label, index in LABEL_TO_CLASS.items() if index in _THING_IDS]
    counted = single & np.isin(label_ids, things)
    found, boxes = boxes_of_ids(ids, counted)
    label_of = dict(zip(ids[counted].tolist(), label_ids[counted].tolist(), strict=True))
    return boxes, np.array([LABEL_TO_CLASS[label_of[item]] for item in found.tolist()], np.int64)
