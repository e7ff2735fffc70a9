"""Scores a bundle on a labelled folder, through the same runtime code that serves it on the vehicle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from distill_perception.bundle import Bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.metrics import ConfusionMatrix
from distill_perception.perceptor import Frame, Perceptor
from training.data.labelled_folder import list_pairs
from training.errors import TrainingError


@dataclass(frozen=True)
class Score:
    """mIoU of a bundle over a folder, from one confusion matrix."""

    miou: float
    iou: dict[str, float]
    frames: int


def evaluate_bundle(
    bundle: Bundle, folder: Path, engine: str = "onnxruntime", precision: str = "auto"
) -> Score:
    """Run every frame of a labelled folder through the bundle, at camera resolution, without augmentation.

    Raises:
        TrainingError: frame or label unreadable. EngineError, BundleError: as for serving.
    """
    manifest = bundle.manifest
    names = manifest.class_names
    perceptor = Perceptor(bundle, open_engine(bundle, engine, EngineSettings(precision=precision)))
    confusion = ConfusionMatrix(len(names))
    pairs = list_pairs(folder)
    for image_path, label_path in track(pairs, f"scoring {folder}", transient=True):
        image = cv2.imread(str(image_path), cv2.IMREAD_COLOR)
        label = cv2.imread(str(label_path), cv2.IMREAD_GRAYSCALE)
        if image is None or label is None:
            raise TrainingError(f"cannot decode {image_path if image is None else label_path}")
        (seen,) = perceptor.perceive([Frame(image.astype(np.uint8), "bgr8")])
        assert seen.mask is not None
        confusion.update(label.astype(np.uint8), seen.mask)
    perceptor.close()
    iou = {name: float(value) for name, value in zip(names, confusion.iou(), strict=True)}
    return Score(confusion.miou(), iou, len(pairs))
