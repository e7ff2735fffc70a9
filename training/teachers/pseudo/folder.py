"""The labelled folder that pseudo-labels are written to: resumable, with what it was made by."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.class_set import ClassSet
from training.errors import TrainingError

PROVENANCE = "pseudo_labels.json"
JOURNAL = "pseudo_labels.jsonl"
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Record:
    """One written frame.

    Attributes:
        pixels: how many pixels each class has, void last.
        boxes: x1, y1, x2, y2, class id, score of each box; None if boxes are not known.
    """

    name: str
    file_name: str
    height: int
    width: int
    pixels: list[int] | None
    boxes: list[list[float]] | None


class LabelFolder:
    """images/NAME.jpg, labels/NAME.png, and at the end boxes.json and the provenance.

    A journal line is written after each frame's files, so a killed run goes on behind the last whole line.

    Args:
        about: what the labels depend on; a folder made by anything else is refused.
        unknown_things: class ids of which the labels say neither that there are some nor that there are none.

    Raises:
        TrainingError: the folder holds something else, or cannot be made.
    """

    def __init__(
        self, path: Path, class_set: ClassSet, about: dict[str, Any], unknown_things: Sequence[int] = ()
    ) -> None:
        self.path = path
        self.class_set = class_set
        self.about = about
        self.unknown_things = unknown_things
        self.records: dict[str, Record] = {}
        if path.exists() and any(path.iterdir()):
            self._resume()
            return
        try:
            for part in ("images", "labels") if about["segments"] else ("images",):
                (path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"cannot make {path}: {error.strerror}; choose a writable --out") from error
        _write(path / "classes.json", class_set.as_file())
        _write(path / PROVENANCE, {**about, "finished": False})

    def _resume(self) -> None:
        try:
            found = json.loads((self.path / PROVENANCE).read_text())
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise TrainingError(f"{self.path} is not empty and holds no pseudo-labels; choose another --out")
        made_by = {key: found.get(key) for key in self.about}
        wanted = json.loads(json.dumps(self.about))
        if different := [key for key in wanted if wanted[key] != made_by[key]]:
            raise TrainingError(
                f"{self.path} was made with another {' and '.join(different)} "
                f"({made_by[different[0]]}, now {wanted[different[0]]}); choose another --out"
            )
        journal = self.path / JOURNAL
        for line in journal.read_text().splitlines() if journal.is_file() else []:
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                break  # the line that was being written when the run was killed
            self.records[record.name] = record
        journal.write_text("".join(_line(record) for record in self.records.values()))

    def write(
        self,
        name: str,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8] | None,
        boxes: list[list[float]] | None,
    ) -> None:
        """Add one frame: image uint8 [H,W,3] RGB, mask uint8 [H,W] class ids.

        Raises:
            TrainingError: it cannot be written.
        """
        file_name = f"{name}.jpg"
        picture = np.ascontiguousarray(image[..., ::-1])
        _write_picture(self.path / "images" / file_name, picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        pixels = None
        if mask is not None:
            _write_picture(self.path / "labels" / f"{name}.png", mask, [])
            counts = np.bincount(mask.reshape(-1), minlength=256)
            pixels = [*counts[: len(self.class_set)].tolist(), int(counts[self.class_set.void_id])]
        record = Record(name, file_name, image.shape[0], image.shape[1], pixels, boxes)
        with (self.path / JOURNAL).open("a") as journal:
            journal.write(_line(record))
        self.records[name] = record

    def finish(self, more: dict[str, Any]) -> None:
        """Write boxes.json (COCO) if boxes are known, and the provenance with `more` and counts."""
        records = sorted(self.records.values(), key=lambda record: record.name)
        if any(record.boxes is not None for record in records):
            _write(self.path / "boxes.json", _coco(records, self.class_set, self.unknown_things))
        _write(self.path / PROVENANCE, {**self.about, "finished": True, **more, **self._summary(records)})

    def _summary(self, records: list[Record]) -> dict[str, Any]:
        summary: dict[str, Any] = {"frames": len(records)}
        counted = [record.pixels for record in records if record.pixels is not None]
        if counted:
            total = np.sum(counted, 0)
            share = (total / max(1, total.sum())).round(5).tolist()
            summary["pixel_share"] = dict(zip((*self.class_set.names, "void"), share, strict=True))
        boxed = [box for record in records for box in record.boxes or []]
        found = [self.class_set.names[int(box[4])] for box in boxed]
        summary["boxes"] = {item.name: found.count(item.name) for item in self.class_set.things}
        return summary


def _coco(records: Iterable[Record], class_set: ClassSet, unknown_things: Sequence[int]) -> dict[str, Any]:
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, record in enumerate(records, start=1):
        size = {"height": record.height, "width": record.width}
        pictures.append({"id": number, "file_name": record.file_name, **size})
        for item in [*_found(record), *_unknown(record, unknown_things)]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **item})
    categories = [{"id": item.id, "name": item.name} for item in class_set.things]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _found(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
            "area": round((x2 - x1) * (y2 - y1), 2),
            "category_id": int(label),
            "score": round(score, 4),
            "iscrowd": 0,
        }
        for x1, y1, x2, y2, label, score in record.boxes or []
    ]


def _unknown(record: Record, things: Sequence[int]) -> list[dict[str, Any]]:
    """One crowd of each over the whole frame: wherever they may be, absence must not be learnt."""
    width, height = record.width, record.height
    whole = {"bbox": [0, 0, width, height], "area": width * height, "iscrowd": 1}
    return [{**whole, "category_id": thing} for thing in things]


def _line(record: Record) -> str:
    return json.dumps(asdict(record)) + "\n"


def _write(path: Path, content: Any) -> None:
    """All of a JSON file or nothing."""
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise TrainingError(f"cannot write {path}: {error.strerror}") from error


def _write_picture(path: Path, picture: NDArray[np.uint8], options: list[int]) -> None:
    if not cv2.imwrite(str(path), picture, options):
        raise TrainingError(f"cannot write {path}; is the disk full or read-only?")
