"""CamVid as published: 960x720 frames and label pictures in the colours of its 32 classes.

701_StillsRaw_full/0001TP_006690.png
LabeledApproved_full/0001TP_006690_L.png
train.txt ...                               optional, a frame's name on each line
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.classes.camvid import CAMVID32, CAMVID32_VOID_COLOR
from training.data.sample import Sample
from training.data.source_spec import CamvidSpec
from training.data.sources.base import file_key
from training.data.sources.reading import (
    check_same_size,
    list_pictures,
    make_sample,
    read_picture,
    select_names,
)
from training.errors import TrainingError

FRAMES, LABELS = "701_StillsRaw_full", "LabeledApproved_full"


class CamvidSource:
    """See the module; samples are of class set `camvid32`.

    Raises:
        TrainingError: a folder, a label or a frame that the split names is missing.
    """

    def __init__(self, spec: CamvidSpec) -> None:
        self.class_set = CAMVID32
        self.strict = spec.unknown_colors == "error"
        frames = list_pictures(spec.path / FRAMES, f"{FRAMES}/NAME.png and {LABELS}/NAME_L.png")
        self.images = select_names(frames, spec.split, spec.path)
        self.labels = [spec.path / LABELS / f"{image.stem}_L.png" for image in self.images]
        for image, label in zip(self.images, self.labels, strict=True):
            if not label.is_file():
                raise TrainingError(f"{image} has no label: expected {label}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path, label = self.images[index], self.labels[index]
        image, colors = read_picture(path), read_picture(label)
        check_same_size(image, path, colors, label)
        mask = ids_from_colors(colors, self.strict, label)
        return make_sample(self.class_set, path.stem, image, mask)

    def key(self, index: int) -> str:
        return file_key([self.images[index], self.labels[index]], "camvid", self.strict)


def _codes(colors: NDArray[np.uint8]) -> NDArray[np.int32]:
    """RGB uint8 [...,3] as one number each, int32 [...]."""
    wide = colors.astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], np.int32)


_PALETTE = np.array([*(item.color for item in CAMVID32.classes), CAMVID32_VOID_COLOR], np.uint8)
_ORDER = np.argsort(_codes(_PALETTE))
_SORTED = _codes(_PALETTE)[_ORDER]


def ids_from_colors(colors: NDArray[np.uint8], strict: bool, where: Path) -> NDArray[np.uint8]:
    """Class ids uint8 [H,W] of a label picture uint8 [H,W,3] RGB.

    Raises:
        TrainingError: if `strict`, for a colour that is no class; else it becomes void.
    """
    codes = _codes(colors)
    place = np.minimum(np.searchsorted(_SORTED, codes), len(_SORTED) - 1)
    known = _SORTED[place] == codes
    if strict and not known.all():
        row, column = np.argwhere(~known)[0]
        raise TrainingError(
            f"{where}: {(~known).sum()} pixels have a colour that is no class, the first at row {row}, "
            f"column {column} with RGB {tuple(colors[row, column].tolist())}; was it resized or saved as "
            "JPEG? 'unknown_colors: void' in the recipe leaves them out"
        )
    return np.where(known, _ORDER[place], CAMVID32.void_id).astype(np.uint8)
