"""Labelled folder: images/NAME.jpg|png with labels/NAME.png, boxes.json, or both; classes.json says of what.

CamVid is kept in this layout, and the synthetic renderer writes it. labels/*.png hold 8-bit class ids; the
category ids of boxes.json (COCO's form) are class ids. Without labels/ the frames have no masks, and frames
that boxes.json does not list have no known boxes. Things that its categories leave out were not annotated.
"""

from __future__ import annotations

from pathlib import Path

from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.source_spec import FolderSpec
from training.data.sources.base import file_key
from training.data.sources.coco_json import CocoImage, by_id, read_coco
from training.data.sources.reading import check_same_size, list_pictures, make_sample, read_ids, read_picture
from training.errors import TrainingError

LAYOUT = "images/NAME.jpg or .png, labels/NAME.png, boxes.json"


class FolderSource:
    """See the module.

    Raises:
        TrainingError: no images, labels for some of them only, or boxes of a picture that is not there.
    """

    def __init__(self, spec: FolderSpec) -> None:
        self.class_set = _classes(spec)
        self.images = list_pictures(spec.path / "images", LAYOUT)
        _check_names(self.images)
        self.labels = _labels(spec.path / "labels", self.images)
        self.boxes_file = spec.path / "boxes.json"
        self.boxes: dict[str, CocoImage] = {}
        if self.boxes_file.is_file():
            self.boxes, listed = _boxes(self.boxes_file, self.images, self.class_set)
            self.class_set = self.class_set.annotated(listed)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[index]
        image, mask = read_picture(path), None
        if self.labels:
            mask = read_ids(self.labels[index])
            check_same_size(image, path, mask, self.labels[index])
            self.class_set.check_mask(mask, self.labels[index])
        entry = self.boxes.get(path.stem)
        if entry is None:
            return make_sample(self.class_set, path.stem, image, mask)
        entry.check_size(image, path, self.boxes_file)
        boxes, ignored = (entry.boxes, entry.labels), (entry.ignored, entry.ignored_labels)
        return make_sample(self.class_set, path.stem, image, mask, boxes, ignored)

    def key(self, index: int) -> str:
        files = [self.images[index], *self.labels[index : index + 1], self.boxes_file]
        return file_key(files, "folder", self.class_set)


def _classes(spec: FolderSpec) -> ClassSet:
    if spec.class_set is not None:
        return class_set(spec.class_set)
    own = spec.path / "classes.json"
    return class_set(str(own) if own.is_file() else "camvid")


def _check_names(images: list[Path]) -> None:
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image.stem, image)
        if other is not image:
            raise TrainingError(f"{other} and {image} would share one label: give each a name of its own")


def _labels(folder: Path, images: list[Path]) -> list[Path]:
    if not folder.is_dir():
        return []
    labels = [folder / f"{image.stem}.png" for image in images]
    for image, label in zip(images, labels, strict=True):
        if not label.is_file():
            raise TrainingError(f"{image} has no label: expected {label} (or no folder {folder} at all)")
    return labels


def _boxes(file: Path, images: list[Path], classes: ClassSet) -> tuple[dict[str, CocoImage], frozenset[int]]:
    """Entries by the picture's name, and the annotated classes."""
    found, listed = read_coco(file, by_id(file, classes))
    entries = {Path(entry.file_name).stem: entry for entry in found}
    missing = entries.keys() - {image.stem for image in images}
    if missing:
        raise TrainingError(
            f"{file} lists {len(missing)} pictures that are not in images/, such as {min(missing)}: "
            "add them, or take them out of the file"
        )
    return entries, listed
