"""A COCO-format set: a folder of pictures and an annotation file with boxes and, if wanted, outlines.

    train2017/000000000009.jpg
    annotations/instances_train2017.json

Categories are matched by name, so their ids may have gaps, as COCO's have, or be one's own. Of those that are
no things in the class set only the outlines count. Things that the file does not list were not annotated: its
pictures may have some or not.
"""

from __future__ import annotations

import warnings

import numpy as np

from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.source_spec import CocoSpec
from training.data.sources.base import Boxes, Labels, file_key
from training.data.sources.coco_json import by_name, read_coco
from training.data.sources.outlines import draw_outlines
from training.data.sources.reading import make_sample, read_picture, require_folder
from training.errors import TrainingError, TrainingWarning


class CocoSource:
    """See the module; frames have boxes, and masks where the recipe asks for them.

    Raises:
        TrainingError: no such folder or file, a category that is no class, or a picture that is missing.
    """

    def __init__(self, spec: CocoSpec) -> None:
        classes = class_set(spec.class_set)
        self.folder = require_folder(spec.path, "the pictures that the annotation file names")
        self.file = spec.annotations
        self.masks = spec.masks
        self.rest = classes.void_id if spec.rest is None else classes.id_of(spec.rest)
        none: list[str] = []  # COCO's own files have boxes without height
        self.entries, listed = read_coco(self.file, by_name(self.file, classes), spec.masks, none)
        if none:
            warnings.warn(
                f"{self.file}: {len(none)} of its boxes are left out, first {none[0]}",
                TrainingWarning,
                stacklevel=2,
            )
        self.class_set = classes.annotated(listed)
        if not self.entries:
            raise TrainingError(f"{self.file} lists no pictures")
        for entry in self.entries:
            if not (self.folder / entry.file_name).is_file():
                raise TrainingError(f"{self.file} names {entry.file_name}, which is not in {self.folder}")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample:
        entry = self.entries[index]
        path = self.folder / entry.file_name
        image = read_picture(path)
        entry.check_size(image, path, self.file)
        name = entry.file_name.rpartition(".")[0]
        boxes = self._of_things(entry.boxes, entry.labels)
        ignored = self._of_things(entry.ignored, entry.ignored_labels)
        mask = draw_outlines(entry, image.shape[:2], self.rest, self.file) if self.masks else None
        return make_sample(self.class_set, name, image, mask, boxes, ignored)

    def _of_things(self, boxes: Boxes, labels: Labels) -> tuple[Boxes, Labels]:
        things = np.isin(labels, [item.id for item in self.class_set.things])
        return boxes[things], labels[things]

    def key(self, index: int) -> str:
        files = [self.folder / self.entries[index].file_name, self.file]
        drawn = f", masks on {self.rest}" if self.masks else ""
        return file_key(files, f"coco{drawn}", self.class_set)
