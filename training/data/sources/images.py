"""Pictures without any labels, such as frames of one's own drive: for pseudo-labels."""

from __future__ import annotations

from training.data.class_set import ClassSet
from training.data.sample import Sample
from training.data.source_spec import ImagesSpec
from training.data.sources.base import file_key
from training.data.sources.reading import list_pictures, make_sample, read_picture

UNLABELLED = ClassSet("unlabelled", (), void_id=255)


class ImagesSource:
    """Every picture of a folder and of those below it, in order of path; named by path without ending."""

    def __init__(self, spec: ImagesSpec) -> None:
        self.class_set = UNLABELLED
        self.root = spec.path
        self.images = list_pictures(spec.path, "pictures in it or below", below=True)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[index]
        name = path.relative_to(self.root).with_suffix("").as_posix()
        return make_sample(self.class_set, name, read_picture(path))

    def key(self, index: int) -> str:
        return file_key([self.images[index]], "images")
