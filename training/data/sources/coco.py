"""A COCO-format set: a folder of pictures and an annotation file with boxes.

    train2017/000000000009.jpg
    annotations/instances_train2017.json

Categories are matched by name, so their ids may have gaps, as COCO's have, or be one's own.
"""

from __future__ import annotations

from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.source_spec import CocoSpec
from training.data.sources.base import file_key
from training.data.sources.coco_json import by_name, read_coco
from training.data.sources.reading import make_sample, read_picture, require_folder
from training.errors import TrainingError


class CocoSource:
    """See the module; frames have boxes and no masks.

    Raises:
        TrainingError: no such folder or file, a category that is no class, or a picture that is missing.
    """

    def __init__(self, spec: CocoSpec) -> None:
        self.class_set = class_set(spec.class_set)
        self.folder = require_folder(spec.path, "the pictures that the annotation file names")
        self.file = spec.annotations
        self.entries = read_coco(self.file, by_name(self.file, self.class_set))
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
        boxes, ignored = (entry.boxes, entry.labels), (entry.ignored, entry.ignored_labels)
        return make_sample(self.class_set, name, image, boxes=boxes, ignored=ignored)

    def key(self, index: int) -> str:
        files = [self.folder / self.entries[index].file_name, self.file]
        return file_key(files, "coco", self.class_set)
