"""Rosbag2 (MCAP or SQLite) with labels beside its image topics, or without any.

    NAMESPACE/image_raw[/compressed]   the pictures
    NAMESPACE/label                    mono8 class ids, with the picture's stamp
    NAMESPACE/boxes                    vision_msgs/Detection2DArray, with the picture's stamp
    NAMESPACE/label_info               vision_msgs/LabelInfo, the names of the ids

Where the bag says the names of its ids, classes are matched by name; else its ids are those of `class_set`.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import Reader

from training.data.class_set import ClassSet, nearest
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.source_spec import BagSpec
from training.data.sources.bag_index import BOXES, LABEL, BagFrame, index_bag, namespace, readable
from training.data.sources.bag_messages import boxes_of, ids_of, rgb_of, stamp_ns, typestore
from training.data.sources.base import file_key
from training.data.sources.reading import Labelled, check_same_size, make_sample
from training.errors import TrainingError


class BagSource:
    """See the module.

    Raises:
        TrainingError: no bag, a damaged one, no pictures in it, or class names that are not known.
    """

    def __init__(self, spec: BagSpec) -> None:
        self.path = spec.path
        self.topics = spec.topics
        self.class_set = class_set(spec.class_set)
        index = index_bag(spec.path, spec.topics)
        self.frames = index.frames
        self.masks = spec.use_masks  # what is hidden is not read: it may be of foreign classes
        self.boxes = spec.use_boxes
        names = index.names if self.masks or self.boxes else {}
        self.ids = class_ids(names, self.class_set, spec.path)
        self._ids_by_name = {name: number for number, name in index.names.items()}
        self._opened: tuple[int, Reader] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self.frames[index]
        place = namespace(frame.topic)
        name = f"{place.strip('/').replace('/', '_')}_{frame.stamp_ns}"
        where = f"{self.path}, stamp {frame.stamp_ns}"
        with readable(self.path):
            image = rgb_of(self._message(frame, frame.topic, frame.image_ns), f"{where}, {frame.topic}")
            mask, boxes = None, None
            ignored: Labelled = (), ()
            if self.masks and frame.label_ns is not None:
                topic = f"{place}/{LABEL}"
                mask = self.ids[ids_of(self._message(frame, topic, frame.label_ns), f"{where}, {topic}")]
                check_same_size(image, Path(f"{where}, {frame.topic}"), mask, Path(f"{where}, {topic}"))
                self.class_set.check_mask(mask, f"{where}, {topic}")
            if self.boxes and frame.boxes_ns is not None:
                topic = f"{place}/{BOXES}"
                message = self._message(frame, topic, frame.boxes_ns)
                boxes = self._labelled(boxes_of(message), f"{where}, {topic}")
                ignored = self._labelled(boxes_of(message, ignored=True), f"{where}, {topic}")
        return make_sample(self.class_set, name, image, mask, boxes, ignored)

    def key(self, index: int) -> str:
        files = sorted(self.path.iterdir()) if self.path.is_dir() else [self.path]
        return file_key(files, "bag", self.frames[index], self.class_set)

    def _labelled(self, named: tuple[list[list[float]], list[str]], where: str) -> Labelled:
        """Boxes with class ids for the classes as the bag writes them."""
        corners, classes = named
        return corners, [self._label(text, where) for text in classes]

    def _label(self, text: str, where: str) -> int:
        """A box's class: an id of the bag, or a name."""
        if text.isdigit() and int(text) < 256:
            label = int(self.ids[int(text)])
        elif text in self._ids_by_name:
            label = int(self.ids[self._ids_by_name[text]])
        else:
            label = self.class_set.id_of(text)
        self.class_set.check_labels([label], where)
        return label

    def _message(self, frame: BagFrame, topic: str, time_ns: int) -> Any:
        reader = self._reader()
        connections = [c for c in reader.connections if c.topic == topic]
        for connection, _, data in reader.messages(connections, time_ns, time_ns + 1):
            if stamp_ns(data, time_ns) == frame.stamp_ns:
                return typestore().deserialize_cdr(data, connection.msgtype)
        raise TrainingError(f"{self.path}: the message of {topic} at {time_ns} is gone; was the bag changed?")

    def _reader(self) -> Reader:
        """A reader of this process: workers must not share an open file's position."""
        if self._opened is None or self._opened[0] != os.getpid():
            reader = Reader(self.path)
            reader.open()
            weakref.finalize(self, reader.close)
            self._opened = (os.getpid(), reader)
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def class_ids(names: dict[int, str], classes: ClassSet, where: Path) -> NDArray[np.uint8]:
    """Table from a bag's ids to those of `classes`, uint8 [256].

    Ids that a bag does not name are void; ids of a bag without any names are those of `classes`.

    Raises:
        TrainingError: the bag names a class that the set does not have.
    """
    if not names:
        return np.arange(256, dtype=np.uint8)
    table = np.full(256, classes.void_id, np.uint8)
    for number, name in names.items():
        if name not in classes.names:
            raise TrainingError(
                f"{where}: its label_info names class '{name}', which class set '{classes.name}' has not "
                f"({nearest(name, classes.names)}): set 'class_set' to the bag's"
            )
        table[number] = classes.id_of(name)
    return table
