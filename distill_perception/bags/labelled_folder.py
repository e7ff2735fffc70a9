"""The labelled folder: one drive as plain files.

images/NAME.(jpg|png)   camera frames, in the order of their names; numbers count: 9 is before 10
labels/NAME.png         optional, uint8 class id per pixel, same size as the image
boxes.json              optional, COCO; category ids are class ids; crowds (`iscrowd`) are regions to ignore,
                        in a bag Detection2D with the id "ignore"
classes.json            optional, `["sky", ...]` or `[{"id": 0, "name": "sky"}, ...]`,
                        or either under the key "classes"
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import BagError
from .box_problems import annotation_problem
from .ground_truth import Boxes, Corners, make_boxes

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_CLASS_ID = 65535  # vision_msgs/VisionClass has 16 bits


@dataclass(frozen=True)
class LabelledFrame:
    """One frame of a drive. pixels: uint8 [H,W,3] BGR; label: uint8 [H,W] class ids."""

    name: str
    pixels: np.ndarray
    label: np.ndarray | None
    boxes: Boxes | None


@dataclass(frozen=True)
class LabelledFolder:
    """A drive on disk; frames are decoded one at a time by `frames()`."""

    path: Path
    images: tuple[Path, ...]
    labels: dict[str, Path]
    boxes: dict[str, Boxes]
    class_names: dict[int, str]

    def __len__(self) -> int:
        return len(self.images)

    def frames(self) -> Iterator[LabelledFrame]:
        """Decode the frames in order.

        Raises:
            BagError: a file cannot be decoded, or a label's size differs from its image's.
        """
        for path in self.images:
            # EXIF does not turn a picture here: labels and the node have it as the sensor does.
            pixels = _read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            label_path = self.labels.get(path.stem)
            label = None if label_path is None else _read(label_path, cv2.IMREAD_UNCHANGED)
            if label is not None:
                _check_label(label, pixels, label_path)
            yield LabelledFrame(path.stem, pixels, label, self.boxes.get(path.stem))


def read_labelled_folder(path: Path) -> LabelledFolder:
    """List what the folder holds; nothing is decoded yet.

    Raises:
        BagError: no images, labels that belong to no image or are no PNG, or malformed JSON.
    """
    folder = path / "images"
    if not folder.is_dir():
        raise BagError(f"{path}: no 'images' folder in it; expected images/NAME.jpg or .png, labels/NAME.png")
    images = tuple(sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=_place))
    if not images:
        raise BagError(f"{folder}: no .jpg or .png files in it")
    stems = {p.stem for p in images}
    if len(stems) < len(images):
        raise BagError(f"{folder}: two images share a name (a .jpg and a .png?); give each its own")
    labels = _labels(path / "labels")
    strays = sorted(labels.keys() - stems)
    if strays and len(strays) == len(labels):
        raise BagError(
            f"{path / 'labels'}: none of its {len(labels)} labels has an image of the same name "
            f"(first label {strays[0]}, first image {images[0].stem})"
        )
    if strays:
        _log.warning(
            "%s: %d of %d labels have no image of their name and are left out, first %s",
            path / "labels",
            len(strays),
            len(labels),
            labels[strays[0]].name,
        )
    boxes_file, classes_file = path / "boxes.json", path / "classes.json"
    names = _class_names(classes_file) if classes_file.is_file() else {}
    boxes: dict[str, Boxes] = {}
    if boxes_file.is_file():
        boxes = _coco_boxes(boxes_file)
        unknown = boxes.keys() - stems
        if unknown:
            raise BagError(f"{boxes_file}: no image of that name: {min(unknown)} ({len(unknown)} in all)")
    return LabelledFolder(path, images, labels, boxes, names)


def _place(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Numbers in a name count as such: frame_9 is before frame_10."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def _labels(folder: Path) -> dict[str, Path]:
    files = [item for item in folder.iterdir() if item.is_file()] if folder.is_dir() else []
    found = [item for item in files if item.suffix.lower() == ".png"]
    labels = {item.stem: item for item in found}
    if len(labels) < len(found):
        raise BagError(f"{folder}: two labels share a name (a .png and a .PNG?); keep the right one of them")
    if files and not labels:
        raise BagError(
            f"{folder}: labels are PNG files of 8-bit class ids, and none of its {len(files)} files is one "
            f"(first {min(files).name}); convert them, or take the folder away for a bag without labels"
        )
    return labels


def _read(path: Path, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), flags) if path.stat().st_size else None
    if pixels is None or pixels.dtype != np.uint8:
        raise BagError(f"{path}: cannot be decoded as an 8-bit image; is the file complete?")
    return np.asarray(pixels, np.uint8)


def _check_label(label: np.ndarray, pixels: np.ndarray, path: Path | None) -> None:
    if path is not None and label.ndim == 3 and path.read_bytes()[25:26] == b"\x03":  # PNG's colour type
        raise BagError(
            f"{path}: a label with a palette, as VOC and CVAT write, is read as colours; save its indices as "
            "grey, with Pillow: Image.fromarray(numpy.array(Image.open(path))).save(path)"
        )
    if label.ndim != 2 or label.dtype != np.uint8:
        raise BagError(
            f"{path}: a label must be 8-bit, one channel of class ids, not {label.shape} {label.dtype}"
        )
    if label.shape != pixels.shape[:2]:
        raise BagError(f"{path}: label is {_size(label)}, its image {_size(pixels)}; they must be equal")


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf8"))
    except ValueError as error:
        raise BagError(f"{path}: not valid JSON: {error}") from error


def _class_names(path: Path) -> dict[int, str]:
    content = _load_json(path)
    entries: Any = content.get("classes") if isinstance(content, dict) else content
    try:
        if isinstance(entries, dict):
            names = {int(key): name for key, name in entries.items()}
        else:
            pairs = (
                (index, entry) if isinstance(entry, str) else (int(entry["id"]), entry["name"])
                for index, entry in enumerate(entries)
            )
            names = dict(pairs)
    except (TypeError, KeyError, ValueError) as error:
        raise BagError(f"{path}: expected a list of names, or of objects with 'id' and 'name'") from error
    for class_id, name in names.items():
        if not (isinstance(name, str) and 0 <= class_id <= MAX_CLASS_ID):
            raise BagError(
                f"{path}: class id {class_id} is named {name!r}; ids are 0 to {MAX_CLASS_ID}, names are text"
            )
    return names


def _coco_boxes(path: Path) -> dict[str, Boxes]:
    """Boxes by image name; COCO's x, y, width, height become corners. Images without boxes get empty ones."""
    content = _load_json(path)
    try:
        pictures = {image["id"]: image for image in content["images"]}
        names = {number: Path(image["file_name"]).stem for number, image in pictures.items()}
        objects: dict[str, list[Corners]] = {name: [] for name in names.values()}
        crowds: dict[str, list[Corners]] = {name: [] for name in names.values()}
        for item in content["annotations"]:
            x, y, width, height = (float(value) for value in item["bbox"])
            if problem := annotation_problem(item, pictures[item["image_id"]]):
                raise BagError(f"{path}: {problem}: correct it or take it out")
            rows = crowds if item.get("iscrowd") else objects
            class_id = int(item["category_id"])
            if not 0 <= class_id <= MAX_CLASS_ID:
                raise BagError(f"{path}: category_id {class_id} is no class id; ids are 0 to {MAX_CLASS_ID}")
            rows[names[item["image_id"]]].append(([x, y, x + width, y + height], class_id))
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise BagError(f"{path}: not a COCO file: {type(error).__name__} {error}") from error
    return {name: make_boxes(objects[name], crowds[name]) for name in objects}
