"""Reading pictures, class ids, JSON and lists of names, with errors that say which file and what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill_perception.strict import did_you_mean
from training.data.class_set import ClassSet
from training.data.sample import Sample
from training.errors import TrainingError

PICTURES = (".jpg", ".jpeg", ".png")


def require_folder(path: Path, layout: str) -> Path:
    """`path` if it is a folder.

    Raises:
        TrainingError: it is not; `layout` says what is expected there.
    """
    if not path.is_dir():
        raise TrainingError(f"{path} is not a folder: expected {layout}")
    return path


def list_pictures(folder: Path, layout: str, below: bool = False) -> list[Path]:
    """Pictures of a folder (and those `below` it) in order of name.

    Raises:
        TrainingError: no such folder, or no picture in it.
    """
    require_folder(folder, layout)
    files = folder.rglob("*") if below else folder.glob("*")
    found = sorted(file for file in files if file.suffix.lower() in PICTURES)
    if not found:
        raise TrainingError(f"no {', '.join(PICTURES)} in {folder}: expected {layout}")
    return found


def read_lines(path: Path, what: str) -> list[str]:
    """Lines of a text file; `what` says of which kind in errors.

    Raises:
        TrainingError: missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TrainingError(f"cannot read {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{what} {path} is not UTF-8 text ({error}): save it as UTF-8") from error


def select_names(files: Sequence[Path], split: Path | None, root: Path) -> list[Path]:
    """The files that a split file names, in its order; all if there is none.

    A line's first word counts, without folders and ending, so that lists of image and label paths will do.

    Raises:
        TrainingError: no such split file, not a text file, or it names a file that is not there.
    """
    if split is None:
        return list(files)
    path = split if split.is_file() else root / split
    lines = read_lines(path, "split file")
    by_stem = {file.stem: file for file in files}
    chosen = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            stem = Path(line.split()[0]).stem
            if stem not in by_stem:
                raise TrainingError(f"{path}, line {number}: no frame '{stem}' ({_near(stem, by_stem)})")
            chosen.append(by_stem[stem])
    if not chosen:
        raise TrainingError(f"split file {path} names no frame: put one name on each line")
    return chosen


def _near(stem: str, known: dict[str, Path]) -> str:
    return did_you_mean(stem, known) if len(known) < 20 else f"{len(known)} frames, first {min(known)}"


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A colour picture as uint8 [H,W,3] RGB, which EXIF does not turn: so its labels and the node have it.

    Raises:
        TrainingError: missing or not a picture.
    """
    pixels = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def read_ids(path: Path) -> NDArray[np.uint8]:
    """A label picture of one channel, or the indices of one with a palette, as uint8 [H,W].

    Raises:
        TrainingError: missing, not a picture, or of another depth or number of channels.
    """
    ids = _decode_ids(path)
    if ids.ndim != 2 or ids.dtype != np.uint8:
        raise TrainingError(f"{path} must hold 8-bit class ids in one channel, found {ids.dtype} {ids.shape}")
    return ids


def read_wide_ids(path: Path) -> NDArray[np.int64]:
    """A picture as of `read_ids` or of 16 bits, such as instance ids, as int64 [H,W].

    Raises:
        TrainingError: missing, not a picture, or with several channels.
    """
    ids = _decode_ids(path)
    if ids.ndim != 2:
        raise TrainingError(f"{path} must hold ids in one channel, found {ids.dtype} {ids.shape}")
    return ids.astype(np.int64)


def _decode_ids(path: Path) -> NDArray[Any]:
    ids = _decode(path, cv2.IMREAD_UNCHANGED)
    if ids.ndim == 2:
        return ids
    # VOC's and CVAT's masks have a palette, of which OpenCV gives the colours and Pillow the indices.
    try:
        with Image.open(path) as picture:
            return np.array(picture) if picture.mode == "P" else ids
    except (OSError, SyntaxError) as error:  # Pillow's word for a broken PNG
        raise TrainingError(f"cannot decode {path} ({error}): copy it again") from error


def _decode(path: Path, flags: int) -> NDArray[Any]:
    if not path.is_file():
        raise TrainingError(f"{path} is missing")
    data = np.fromfile(path, np.uint8)
    pixels = cv2.imdecode(data, flags) if data.size else None
    if pixels is None:
        raise TrainingError(f"cannot decode {path} ({data.size} bytes): copy it again")
    return np.asarray(pixels)


def read_json(path: Path) -> Any:
    """Raises TrainingError if the file is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path} is not JSON ({error}): copy it again") from error


Labelled = tuple[Sequence[Sequence[float]] | NDArray[np.float32], Sequence[int] | NDArray[np.int64]]


def make_sample(
    class_set: ClassSet,
    name: str,
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8] | None = None,
    boxes: Labelled | None = None,
    ignored: Labelled = ((), ()),
) -> Sample:
    """A sample; None for what is not known. Boxes are clipped to the picture, empty ones left out.

    Args:
        boxes, ignored: float [K,4] x1, y1, x2, y2 in pixels, and their class ids.
    """
    height, width = image.shape[:2]
    corners, labels = _clipped(boxes or ((), ()), width, height)
    regions, region_labels = _clipped(ignored, width, height)
    return Sample(
        name,
        image,
        np.full((height, width), class_set.void_id, np.uint8) if mask is None else mask,
        corners,
        labels,
        has_mask=mask is not None,
        has_boxes=boxes is not None,
        ignored=regions,
        ignored_labels=region_labels,
    )


def _clipped(boxes: Labelled, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    corners = np.asarray(boxes[0], np.float32).reshape(-1, 4)
    corners = np.clip(corners, 0, np.array([width, height, width, height], np.float32))
    kept = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    return corners[kept], np.asarray(boxes[1], np.int64).reshape(-1)[kept]


def check_same_size(image: NDArray[Any], image_path: Path, other: NDArray[Any], other_path: Path) -> None:
    """Raises TrainingError if a picture and its labels differ in height or width."""
    if image.shape[:2] != other.shape[:2]:
        raise TrainingError(
            f"{other_path} is {_size(other)} but its picture {image_path} is {_size(image)}: they must match"
        )


def _size(pixels: NDArray[Any]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
