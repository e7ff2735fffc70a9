"""Scores a bundle on a validation source, through the same runtime code that serves it on the vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.markup import escape
from rich.progress import track

from distill_perception.bundle import Bundle
from distill_perception.engines import Engine, EngineSettings, open_engine
from distill_perception.metrics import LOWEST_SCORE, AveragePrecision, ConfusionMatrix
from distill_perception.perceptor import Frame, Perceptor
from training.data.sources.base import Source


@dataclass(frozen=True)
class Score:
    """Scores of a bundle over a source.

    Attributes:
        values: by name, as the recorded metrics of a run have them: miou, iou/CLASS, map50, map, ap/CLASS;
            what has no label in the source is left out.
        frames: number of frames.
    """

    values: dict[str, float]
    frames: int


def evaluate_bundle(
    bundle: Bundle,
    source: Source,
    name: str = "",
    engine: str = "onnxruntime",
    precision: str = "auto",
    device: str = "cpu",
) -> Score:
    """Run every frame of a source through the bundle, at its own resolution, without augmentation.

    Args:
        source: in the bundle's class set. name: for the progress bar.

    Raises:
        TrainingError: frame or label unreadable. EngineError, BundleError: as for serving.
    """
    opened = open_engine(bundle, engine, EngineSettings(precision, device))
    return evaluate_engine(bundle, opened, source, name)


def evaluate_engine(bundle: Bundle, opened: Engine, source: Source, name: str = "") -> Score:
    """As `evaluate_bundle`, with an engine that has been opened; it is closed."""
    manifest = bundle.manifest
    what = f"scoring {escape(name)} {opened.precision} on {opened.name}"
    perceptor = Perceptor(bundle, opened, score_threshold=LOWEST_SCORE)
    confusion = ConfusionMatrix(len(manifest.classes))
    boxes = AveragePrecision([item.id for item in manifest.classes if item.kind == "thing"])
    for index in track(range(len(source)), what, transient=True):
        sample = source[index]
        (seen,) = perceptor.perceive([Frame(sample.image, "rgb8")])
        if seen.mask is not None and sample.has_mask:
            confusion.update(sample.mask, seen.mask)
        if "detection" in manifest.tasks and sample.has_boxes:
            found = seen.detections
            boxes.update(
                np.array([item.box for item in found]),
                np.array([item.score for item in found]),
                np.array([item.label for item in found], int),
                sample.boxes,
                sample.labels,
                sample.ignored,
                sample.ignored_labels,
            )
    perceptor.close()
    values = _mask_scores(confusion, manifest.class_names) if "segmentation" in manifest.tasks else {}
    if "detection" in manifest.tasks:
        values |= _box_scores(boxes, manifest.class_names)
    return Score({key: value for key, value in values.items() if not np.isnan(value)}, len(source))


def _mask_scores(confusion: ConfusionMatrix, names: tuple[str, ...]) -> dict[str, float]:
    by_class = zip(names, confusion.iou(), strict=True)
    return {"miou": confusion.miou(), **{f"iou/{name}": float(value) for name, value in by_class}}


def _box_scores(boxes: AveragePrecision, names: tuple[str, ...]) -> dict[str, float]:
    scores = boxes.compute()
    by_class = {f"ap/{names[label]}": value for label, value in scores.by_class.items()}
    return {"map50": scores.map50, "map": scores.map, **by_class}
