"""Labels that could not be scored: of other classes, of another size, or boxes that are none."""

from __future__ import annotations

import numpy as np

from ..bags.box_problems import box_problem
from ..bags.ground_truth import Boxes
from ..bags.reader import Bag, BagFrame
from ..bags.unmatched import no_image_of
from ..bundle import Manifest
from ..errors import ImageError, ReplayError
from ..terminal import warn
from ..topics import BOXES, beside

_CLASSES_REMEDY = "use a bundle trained on these classes, or leave the labels out (--no-labels)"
_BOXES_REMEDY = "correct the bag's boxes, or leave the labels out (--no-labels)"


def check_classes(bag: Bag, manifest: Manifest) -> None:
    """Refuse a bag whose label_info names other classes than the bundle.

    Raises:
        ReplayError: naming the first difference.
    """
    void = manifest.void_id
    named = {key: name for key, name in bag.class_names.items() if key != void and name != "void"}
    mine = dict(enumerate(manifest.class_names))
    if not named or named == mine:
        return
    key = min(key for key in named.keys() | mine.keys() if named.get(key) != mine.get(key))
    raise ReplayError(
        f"{bag.path}: its labels are of other classes than bundle '{manifest.name}': "
        f"the bag's label_info has {len(named)} classes, the bundle {len(mine)}; "
        f"class id {key} is '{named.get(key, 'not there')}' in the bag "
        f"and '{mine.get(key, 'not there')}' in the bundle; {_CLASSES_REMEDY}"
    )


def check_labels(bag: Bag, manifest: Manifest, frames: int = 100) -> None:
    """Refuse labels that could not be scored, as far as the bag's first frames tell, before all is played.

    Warns where nothing says of which classes they are.

    Args:
        bag: opened with `index_images`.
        frames: how many to look at; more while not one of them has a label.

    Raises:
        ReplayError: they are of other classes than the bundle, do not fit their images, or are all of stamps
            that no image has.
    """
    check_classes(bag, manifest)
    if not bag.truth_times:
        return
    if not bag.class_names:
        warn(
            f"{bag.path}: its labels have no class names (label_info), so they are scored as if their ids "
            f"were those of bundle '{manifest.name}'"
        )
    checks = LabelChecks(bag, manifest)
    unseen = set(bag.topics)
    for count, frame in enumerate(bag.frames()):
        if not unseen or (count >= frames and len(unseen) < len(bag.topics)):
            return
        if frame.topic in unseen and (frame.label is not None or frame.boxes is not None):
            unseen.discard(frame.topic)
            checks.check(frame)
    if len(unseen) == len(bag.topics):
        raise ReplayError(no_image_of(bag, bag.image_times, "leave them out (--no-labels)"))


class LabelChecks:
    """Each raises ReplayError, saying of which bag, topic and stamp."""

    def __init__(self, bag: Bag, manifest: Manifest) -> None:
        self._bag, self._manifest = bag, manifest
        count, void = len(manifest.classes), manifest.void_id
        self._valid_ids = np.zeros(256, bool)
        self._valid_ids[:count] = True
        if void is not None:
            self._valid_ids[void] = True

    def check(self, frame: BagFrame) -> None:
        """All that can be told of a frame's labels before it is answered."""
        if frame.label is not None:
            self.check_ids(frame, frame.label)
            if size := _size(frame):
                self.check_size(frame, frame.label, "image", size)
        if frame.boxes is not None and "detection" in self._manifest.tasks:
            self.check_boxes(frame, frame.boxes)

    def check_size(self, frame: BagFrame, label: np.ndarray, what: str, size: tuple[int, ...]) -> None:
        """A label uint8 [H,W] beside what it is to fit, (height, width)."""
        if label.shape != size:
            raise ReplayError(
                f"{self.where(frame)}: the label is {label.shape[1]}x{label.shape[0]}, the {what} "
                f"{size[1]}x{size[0]}; labels must have their image's size, and so must masks "
                "(the node's parameter mask_resolution is to be 'camera')"
            )

    def check_ids(self, frame: BagFrame, label: np.ndarray) -> None:
        """A label's class ids, uint8 [H,W]."""
        present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
        unknown = [int(value) for value in present if not self._valid_ids[value]]
        if unknown:
            raise ReplayError(
                f"{self.where(frame)}: the label has class id {unknown[0]}, but bundle "
                f"'{self._manifest.name}' has the {len(self._manifest.classes)} classes 0 to "
                f"{len(self._manifest.classes) - 1} and void id {self._manifest.void_id}; {_CLASSES_REMEDY}"
            )

    def check_boxes(self, frame: BagFrame, boxes: Boxes) -> None:
        """Classes and corners; what nothing can ever be found in would count as a miss."""
        labels = np.concatenate([boxes.labels, boxes.ignored_labels])
        foreign = np.setdiff1d(labels, np.arange(len(self._manifest.classes)))
        if foreign.size:
            found = boxes.unknown[0] if boxes.unknown else foreign[0]
            raise ReplayError(
                f"{self.where(frame)}: a labelled box is of a class that bundle '{self._manifest.name}' "
                f"does not have ('{found}'); its class ids are 0 to {len(self._manifest.classes) - 1}; "
                f"{_CLASSES_REMEDY}"
            )
        stuff = np.setdiff1d(labels, [item.id for item in self._manifest.classes if item.kind == "thing"])
        if stuff.size:
            raise ReplayError(
                f"{self.where(frame)}: a labelled box is of class {stuff[0]}, which bundle "
                f"'{self._manifest.name}' never finds: '{self._manifest.class_names[stuff[0]]}' has no boxes "
                f"there; {_CLASSES_REMEDY}"
            )
        every = np.concatenate([boxes.xyxy, boxes.ignored])
        size = _size(frame) if len(every) else None
        for corners in every:
            if problem := box_problem(corners, size):
                raise ReplayError(
                    f"{self._bag.path}, {beside(frame.topic, BOXES)} at {frame.stamp_ns / 1e9:.3f} s: the "
                    f"labelled box ({', '.join(f'{value:g}' for value in corners)}) {problem}; "
                    f"{_BOXES_REMEDY}"
                )

    def where(self, frame: BagFrame) -> str:
        """For the beginning of an error message."""
        return f"{self._bag.path}, {frame.topic} at {frame.stamp_ns / 1e9:.3f} s"


def _size(frame: BagFrame) -> tuple[int, int] | None:
    """Height and width of a frame's image; None if it cannot be read, which the node drops and counts."""
    try:
        height, width = frame.image.native()[0].shape[:2]
    except ImageError:
        return None
    return height, width
