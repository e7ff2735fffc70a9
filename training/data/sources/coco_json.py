"""COCO annotation files: the boxes of each picture, and the outlines of what is in them.

Format: https://cocodataset.org/#format-data. A `bbox` is x, y, width, height; crowds (`iscrowd`) mark a
region in which nobody told the objects of a category apart. A `segmentation` is a list of polygons or a
run-length code.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_perception.bags.box_problems import annotation_problem
from distill_perception.strict import did_you_mean
from training.data.class_set import ClassSet
from training.data.sources.reading import read_json
from training.errors import TrainingError

# x1, y1, x2, y2; class id; whether it is a crowd, None if the box is none; outline
_Row = tuple[list[float], int, bool | None, Any]


@dataclass(frozen=True)
class CocoImage:
    """A picture's entry.

    Attributes:
        size: height, width as the file says, None if it does not.
        boxes, labels: float32 [K,4], int64 [K].
        ignored, ignored_labels: of crowds, float32 [I,4], int64 [I].
        outlines: of all, crowds too, as the file has them, with their class ids; empty if not asked for.
    """

    file_name: str
    size: tuple[int, int] | None
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignored: NDArray[np.float32]
    ignored_labels: NDArray[np.int64]
    outlines: tuple[tuple[Any, int], ...] = ()

    def check_size(self, image: NDArray[np.uint8], image_path: Path, json_path: Path) -> None:
        """Raises TrainingError if the picture has another size than its boxes were made for."""
        if self.size is not None and self.size != image.shape[:2]:
            raise TrainingError(
                f"{json_path} says that {self.file_name} is {self.size[1]}x{self.size[0]}, but {image_path} "
                f"is {image.shape[1]}x{image.shape[0]}: its boxes would not fit"
            )


def read_coco(
    path: Path,
    class_of: Callable[[dict[str, Any]], int],
    outlines: bool = False,
    left_out: list[str] | None = None,
) -> tuple[list[CocoImage], frozenset[int]]:
    """Every picture of an annotation file, in its order, and the classes that it annotates.

    Args:
        class_of: the class id of a category entry ({"id": ..., "name": ...}). It may raise TrainingError,
            which counts where the category has boxes: a file may list more than the class set knows.
        outlines: keep them, which takes memory.
        left_out: gets what is wrong with each box that is none (not finite, without width or height, outside
            its picture), which is left out then; None: such a box is an error.

    Returns:
        The pictures, and the ids of the classes among the file's categories: where a picture has no box of
        one of them there is none of it; of all other classes the file says nothing.

    Raises:
        TrainingError: not readable, not of COCO's form, or an annotation of an unknown picture or category
            or with a box that is none.
    """
    content = read_json(path)
    try:
        categories = {int(item["id"]): item for item in content["categories"]}
        classes: dict[int, int] = {}
        for number, category in categories.items():
            with suppress(TrainingError):
                classes[number] = class_of(category)
        pictures = {item["id"]: item for item in content["images"]}
        rows: dict[Any, list[_Row]] = {number: [] for number in pictures}
        for item in content["annotations"]:
            x, y, width, height = (float(value) for value in item["bbox"])
            number = int(item["category_id"])
            category = _known(path, "category", number, categories)
            if number not in classes:
                classes[number] = class_of(category)
            row = _known(path, "picture", item["image_id"], rows)
            crowd: bool | None = bool(item.get("iscrowd"))
            if problem := annotation_problem(item, pictures[item["image_id"]]):
                if left_out is None:
                    raise TrainingError(f"{path}: {problem}: correct it or take it out")
                left_out.append(problem)
                crowd = None
            outline = item.get("segmentation") if outlines else None
            row.append(([x, y, x + width, y + height], classes[number], crowd, outline))
        images = [_image(item, rows[item["id"]], outlines) for item in content["images"]]
        return images, frozenset(classes.values())
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise TrainingError(
            f"{path} is not a COCO file ({type(error).__name__}: {error}); expected 'images' (id, "
            "file_name), 'annotations' (image_id, category_id, bbox) and 'categories' (id, name)"
        ) from error


def _known(path: Path, kind: str, key: Any, table: dict[Any, Any]) -> Any:
    if key not in table:
        raise TrainingError(f"{path}: an annotation is of {kind} {key}, which the file does not list")
    return table[key]


def _image(item: dict[str, Any], rows: list[_Row], outlines: bool) -> CocoImage:
    size = (int(item["height"]), int(item["width"])) if "height" in item and "width" in item else None
    single, crowds = ([row for row in rows if row[2] == crowd] for crowd in (False, True))
    kept = tuple((row[3], row[1]) for row in rows) if outlines else ()
    return CocoImage(str(item["file_name"]), size, *_arrays(single), *_arrays(crowds), kept)


def _arrays(rows: list[_Row]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return boxes, np.array([row[1] for row in rows], np.int64)


def by_id(path: Path, class_set: ClassSet) -> Callable[[dict[str, Any]], int]:
    """Categories whose ids are the class ids of `class_set`; of other names they are other classes."""

    def class_of(category: dict[str, Any]) -> int:
        number, name = int(category["id"]), category.get("name")
        class_set.check_labels([number], path)
        mine = class_set.names[number]
        if name not in (mine, None):
            known = class_set.names
            meant = f"'{name}' is {known.index(name)} there" if name in known else did_you_mean(name, known)
            raise TrainingError(
                f"{path}: its category {number} is '{name}', but class {number} of class set "
                f"'{class_set.name}' is '{mine}' ({meant}): set 'class_set' to the file's, or correct it"
            )
        return number

    return class_of


def by_name(path: Path, class_set: ClassSet) -> Callable[[dict[str, Any]], int]:
    """Categories that are known by their names in `class_set`."""

    def class_of(category: dict[str, Any]) -> int:
        try:
            return class_set.id_of(str(category["name"]))
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from error

    return class_of
