"""Small drives with answers that can be worked out: the tiny bundle's class is the strongest channel."""

import json
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH, FRAMES = 48, 64, 6
VOID = 3
CLASS_NAMES = ["red", "green", "blue"]


def picture(index: int) -> np.ndarray:
    """A frame, uint8 [H,W,3] BGR: three coloured stripes that move, with noise that changes no maximum."""
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, 90, (HEIGHT, WIDTH, 3), np.uint8)
    stripe = (np.arange(WIDTH)[None, :] + 5 * index + np.arange(HEIGHT)[:, None]) // 20 % 3
    for class_id in range(3):
        pixels[stripe == class_id, 2 - class_id] = 200  # red is the last channel of BGR
    return pixels


def perceived(pixels: np.ndarray) -> np.ndarray:
    """What the tiny bundle sees in BGR pixels: uint8 [H,W]."""
    return np.argmax(pixels[..., ::-1], axis=2).astype(np.uint8)


def label(index: int) -> np.ndarray:
    """The label of a frame: the truth but for a wrong patch that grows with the index, and a void border."""
    ids = perceived(picture(index))
    ids[10 : 14 + 2 * index, 10:30] = 1
    ids[:3] = VOID
    return ids


def boxes(index: int) -> list[tuple[list[float], int]]:
    """Labelled boxes x, y, width, height with class; the tiny bundle's blue boxes are at 16,12 to 32,36
    (score 0.9) and at 32,24 to 48,48 (score 0.1, which no node publishes unless told to)."""
    rows = [([16.0 + index, 12.0, 16.0, 24.0], 2), ([0.0, 0.0, 60.0, 48.0], 1), ([33.0, 24.0, 16.0, 24.0], 2)]
    return rows if index != 3 else rows[1:]


def write_folder(folder: Path, frames: int = FRAMES, labelled: bool = True, names: bool = True) -> Path:
    """Write a drive in the labelled-folder format."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    if labelled:
        (folder / "labels").mkdir()
    for index in range(frames):
        name = f"frame_{index:03d}"
        cv2.imwrite(str(folder / "images" / f"{name}.png"), picture(index))
        if not labelled:
            continue
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), label(index))
        images.append({"id": index + 1, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH})
        for box, class_id in boxes(index):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": class_id,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    if labelled:
        categories = [{"id": class_id, "name": name} for class_id, name in enumerate(CLASS_NAMES)]
        coco = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "boxes.json").write_text(json.dumps(coco))
    if names:
        (folder / "classes.json").write_text(json.dumps(CLASS_NAMES))
    return folder
