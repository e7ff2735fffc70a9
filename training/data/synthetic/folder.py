"""Writes frames as a labelled folder: images/*.jpg, labels/*.png, boxes.json, classes.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2

from training.data.synthetic.classes import THINGS, VOID, class_table
from training.data.synthetic.render import Frame
from training.data.synthetic.settings import SyntheticError

JPEG_QUALITY = 95


def prepare_folder(folder: Path) -> None:
    """Make the folder, or check that it holds nothing yet.

    Raises:
        SyntheticError: it is not a folder, is not empty or cannot be made.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SyntheticError(f"{folder} exists and is not an empty folder; choose another --out or remove it")
    try:
        (folder / "images").mkdir(parents=True)
        (folder / "labels").mkdir()
    except OSError as error:
        raise SyntheticError(f"cannot make {folder}: {error.strerror}; choose a writable --out") from error


def write_folder(folder: Path, frames: Iterable[Frame]) -> Iterator[Frame]:
    """Write frames into a prepared folder, handing each on as soon as it is written.

    The JSON files are written when the frames are used up.

    Raises:
        SyntheticError: a picture could not be written.
    """
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, frame in enumerate(frames, start=1):
        name = f"s{frame.scene:04d}_{number - 1:06d}"
        height, width = frame.mask.shape
        _write(folder / "images" / f"{name}.jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        _write(folder / "labels" / f"{name}.png", frame.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        pictures.append(
            {
                "id": number,
                "file_name": f"{name}.jpg",
                "height": height,
                "width": width,
                "weather": frame.weather,
                "scene": frame.scene,
                "time_s": round(frame.time_s, 6),
            }
        )
        for box in frame.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": box.label,
                    "bbox": [box.x, box.y, box.width, box.height],
                    "area": box.area,
                    "iscrowd": 0,
                }
            )
        yield frame
    table = class_table()
    categories = [{"id": entry["id"], "name": entry["name"]} for entry in table if entry["id"] in THINGS]
    _dump(folder / "boxes.json", {"images": pictures, "annotations": annotations, "categories": categories})
    _dump(folder / "classes.json", {"classes": table, "void_id": VOID})


def _write(path: Path, picture: Any, options: list[int]) -> None:
    if not cv2.imwrite(str(path), picture, options):
        raise SyntheticError(f"cannot write {path}; is the disk full or read-only?")


def _dump(path: Path, data: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(data), encoding="utf-8")
    except OSError as error:
        raise SyntheticError(f"cannot write {path}: {error.strerror}") from error
