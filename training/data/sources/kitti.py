"""KITTI object detection and KITTI semantic segmentation as published.

training/image_2/000000.png   training/label_2/000000.txt              object
training/image_2/000000_10.png   training/semantic/000000_10.png       semantic: Cityscapes' label ids
                                 training/instance/000000_10.png       optional, 16 bits: label * 256 + number
                                                                       of the object, 0 for stuff and groups
"""

from __future__ import annotations

from pathlib import Path

from distill_perception.strict import did_you_mean
from training.data.classes.cityscapes import CITYSCAPES
from training.data.classes.kitti import DONT_CARE, KITTI
from training.data.sample import Sample
from training.data.source_spec import KittiObjectSpec, KittiSemanticSpec
from training.data.sources.base import file_key
from training.data.sources.cityscapes import class_ids, objects_and_groups
from training.data.sources.reading import (
    check_same_size,
    list_pictures,
    make_sample,
    read_ids,
    read_lines,
    read_picture,
    read_wide_ids,
    select_names,
)
from training.errors import TrainingError


class KittiObjectSource:
    """Frames with boxes and no masks; `testing` has pictures alone.

    Raises:
        TrainingError: a folder, a label or a frame that the split names is missing.
    """

    def __init__(self, spec: KittiObjectSpec) -> None:
        self.class_set = KITTI
        self.images = _pictures(spec, "image_2/000000.png and label_2/000000.txt")
        self.labels = _labels(spec, self.images, "label_2", ".txt")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[index]
        image = read_picture(path)
        if not self.labels:
            return make_sample(self.class_set, path.stem, image)
        boxes, labels, regions = read_objects(self.labels[index])
        # Whatever is in a region that nobody looked into may be of any class.
        ids = [item.id for item in self.class_set.things]
        ignored = [box for box in regions for _ in ids], ids * len(regions)
        return make_sample(self.class_set, path.stem, image, boxes=(boxes, labels), ignored=ignored)

    def key(self, index: int) -> str:
        return file_key([self.images[index], *self.labels[index : index + 1]], "kitti_object")


class KittiSemanticSource:
    """Frames with masks in Cityscapes' classes, and boxes where instance/ has them.

    Raises:
        TrainingError: a folder, a label or a frame that the split names is missing.
    """

    def __init__(self, spec: KittiSemanticSpec) -> None:
        self.class_set = CITYSCAPES
        self.images = _pictures(spec, "image_2/000000_10.png and semantic/000000_10.png")
        self.labels = _labels(spec, self.images, "semantic", ".png")
        self.instances = spec.path / spec.part / "instance"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        path = self.images[index]
        image = read_picture(path)
        if not self.labels:
            return make_sample(self.class_set, path.stem, image)
        label = self.labels[index]
        mask = read_ids(label)
        check_same_size(image, path, mask, label)
        mask = class_ids(mask, label)
        instances = self.instances / label.name
        if not instances.is_file():
            return make_sample(self.class_set, path.stem, image, mask)
        ids = read_wide_ids(instances)
        check_same_size(image, path, ids, instances)
        objects = objects_and_groups(ids, ids // 256, ids % 256 > 0)
        return make_sample(self.class_set, path.stem, image, mask, *objects)

    def key(self, index: int) -> str:
        path = self.images[index]
        files = [path, *self.labels[index : index + 1], self.instances / path.name]
        return file_key(files, "kitti_semantic, ignored regions, caravans")


def _pictures(spec: KittiObjectSpec | KittiSemanticSpec, layout: str) -> list[Path]:
    pictures = list_pictures(spec.path / spec.part / "image_2", f"{spec.part}/{layout}")
    return select_names(pictures, spec.split, spec.path)


def _labels(
    spec: KittiObjectSpec | KittiSemanticSpec, images: list[Path], folder: str, ending: str
) -> list[Path]:
    if spec.part == "testing":
        return []
    labels = [spec.path / spec.part / folder / f"{image.stem}{ending}" for image in images]
    for image, label in zip(images, labels, strict=True):
        if not label.is_file():
            raise TrainingError(f"{image} has no label: expected {label}")
    return labels


def read_objects(path: Path) -> tuple[list[list[float]], list[int], list[list[float]]]:
    """Boxes (x1, y1, x2, y2) and class ids of a label file of the object benchmark, and DontCare's boxes.

    A line is: type truncated occluded alpha left top right bottom, then 3D size, place and rotation.

    Raises:
        TrainingError: not a text file, or a line with an unknown type, or with too few or other than numbers.
    """
    boxes, labels, regions = [], [], []
    for number, line in enumerate(read_lines(path, "label file"), start=1):
        words = line.split()
        if not words:
            continue
        if words[0] not in (*KITTI.names, DONT_CARE):
            raise TrainingError(
                f"{path}, line {number}: type '{words[0]}' ({did_you_mean(words[0], KITTI.names)})"
            )
        try:
            left, top, right, bottom = (float(word) for word in words[4:8])
        except ValueError as error:
            raise TrainingError(
                f"{path}, line {number}: expected 'type truncated occluded alpha left top right bottom ...'"
            ) from error
        if words[0] == DONT_CARE:
            regions.append([left, top, right, bottom])
            continue
        boxes.append([left, top, right, bottom])
        labels.append(KITTI.id_of(words[0]))
    return boxes, labels, regions
