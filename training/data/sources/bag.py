"""Rosbag2 (MCAP or SQLite) with labels beside its image topics, or without any.

    NAMESPACE/image_raw[/compressed]   the pictures
    NAMESPACE/label                    mono8 class ids, with the picture's stamp
    NAMESPACE/boxes                    vision_msgs/Detection2DArray, with the picture's stamp
    NAMESPACE/label_info               vision_msgs/LabelInfo, the names of the ids

Where the bag says the names of its ids, classes are matched by name; else its ids are those of `class_set`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_perception.bags.reader import open_bag
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.bags.seek import SeekableBag
from distill_perception.bags.unmatched import check_matched
from distill_perception.errors import ImageError
from distill_perception.strict import did_you_mean
from distill_perception.topics import BOXES, LABEL, beside, image_namespace
from distill_perception.vision.color import convert
from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.source_spec import BagSpec
from training.data.sources.base import file_key
from training.data.sources.reading import check_same_size, make_sample
from training.errors import TrainingError


class BagSource:
    """See the module.

    Raises:
        BagError: no bag, a damaged one, or no pictures in it.
        TrainingError: class names that are not known.
    """

    def __init__(self, spec: BagSpec) -> None:
        self.path = spec.path
        self.class_set = class_set(spec.class_set)
        self.masks = spec.use_masks  # what is hidden is not read: it may be of foreign classes
        self.boxes = spec.use_boxes
        bag = open_bag(spec.path, spec.topics, truth=self.masks or self.boxes, index_images=True)
        check_matched(bag, "hide them ('use_masks: false', 'use_boxes: false')")
        self.ids = class_ids(bag.class_names, self.class_set, spec.path)
        self._ids_by_name = {name: number for number, name in bag.class_names.items()}
        self.bag = SeekableBag(bag)
        self.frames = self.bag.frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        topic, stamp_ns = self.frames[index]
        name = f"{image_namespace(topic).strip('/').replace('/', '_')}_{stamp_ns}"
        where = f"{self.path}, stamp {stamp_ns}"
        image = _rgb(self.bag.image(topic, stamp_ns), f"{where}, {topic}")
        mask = self.bag.label(topic, stamp_ns) if self.masks else None
        if mask is not None:
            place = f"{where}, {beside(topic, LABEL)}"
            check_same_size(image, Path(f"{where}, {topic}"), mask, Path(place))
            mask = self.ids[mask]
            self.class_set.check_mask(mask, place)
        place = f"{where}, {beside(topic, BOXES)}"
        found = self.bag.boxes(topic, stamp_ns, lambda text: self._label(text, place)) if self.boxes else None
        if found is None:
            return make_sample(self.class_set, name, image, mask)
        boxes, ignored = (found.xyxy, found.labels), (found.ignored, found.ignored_labels)
        return make_sample(self.class_set, name, image, mask, boxes, ignored)

    def key(self, index: int) -> str:
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        return file_key(files, "bag", self.frames[index], self.class_set)

    def _label(self, text: str, where: str) -> int:
        """A box's class: an id of the bag, or a name."""
        if text.isdecimal() and int(text) < len(self.ids):
            label = int(self.ids[int(text)])
        elif text in self._ids_by_name:
            label = int(self.ids[self._ids_by_name[text]])
        else:
            label = self.class_set.id_of(text)
        self.class_set.check_labels([label], where)
        return label


def _rgb(image: RecordedImage, where: str) -> NDArray[np.uint8]:
    """A picture as uint8 [H,W,3] RGB.

    Raises:
        TrainingError: an encoding that is not known, too little data, or bytes that are no picture.
    """
    try:
        return np.ascontiguousarray(convert(*image.native(), "rgb"))
    except ImageError as error:
        raise TrainingError(f"{where}: {error}") from error


def class_ids(names: dict[int, str], classes: ClassSet, where: Path) -> NDArray[np.uint8]:
    """Table from a bag's ids to those of `classes`, uint8 [256] or more.

    Ids that a bag does not name are void; ids of a bag without any names are those of `classes`.

    Raises:
        TrainingError: the bag names a class that the set does not have.
    """
    if not names:
        return np.arange(256, dtype=np.uint8)
    table = np.full(max(255, *names) + 1, classes.void_id, np.uint8)
    for number, name in names.items():
        if name not in classes.names:
            raise TrainingError(
                f"{where}: its label_info names class '{name}', which class set '{classes.name}' has not "
                f"({did_you_mean(name, classes.names)}): set 'class_set' to the bag's"
            )
        table[number] = classes.id_of(name)
    return table
