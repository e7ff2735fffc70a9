"""Labels every frame of a source by a teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from distill_perception.progress import Progress, silent
from training.data.class_set import ClassSet
from training.data.sample import Sample
from training.data.sources import Source
from training.errors import TrainingError
from training.provenance import this_command
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.cache.answer import as_batch
from training.teachers.detection_maps import clip, decode_maps
from training.teachers.fingerprint import fingerprint
from training.teachers.pseudo.folder import LabelFolder
from training.teachers.pseudo.labels import Thresholds, confident_boxes, confident_masks


def pseudo_label(
    teacher: Teacher,
    source: Source,
    class_set: ClassSet,
    out: Path,
    thresholds: Thresholds | None = None,
    batch: int = 4,
    about: dict[str, Any] | None = None,
    report: Progress = silent,
) -> Path:
    """Write a labelled folder of a source's frames with what the teacher is sure of; old labels are ignored.

    Run again with the same arguments, it goes on where it was stopped. Objects below the score threshold are
    not in boxes.json, so training takes them for background. Things that the teacher does not know are
    ignored there over the whole frame.

    Args:
        teacher: speaks the classes of `class_set`.
        out: made anew, or the folder of a stopped run.
        about: further entries of the provenance.
        report: called with the number of finished frames, at first and after each batch.

    Returns:
        `out`, for the data section of a recipe: {format: folder, path: out}.

    Raises:
        TrainingError: `out` holds something else, or two frames have one name.
    """
    thresholds = thresholds or Thresholds()
    needed = thresholds.of_classes(class_set)
    made_by = {
        "fingerprint": fingerprint(teacher, class_set.names),
        "thresholds": asdict(thresholds),
        "segments": teacher.known is not None,
        "detects": teacher.known_things is not None,
    }
    folder = LabelFolder(out, class_set, made_by, _unknown_things(teacher, class_set))
    device = next((p.device for p in teacher.parameters()), torch.device("cpu"))
    report("Labelling", len(folder.records), len(source))
    for samples in _batches(source, folder, batch):
        height, width = samples[0].size
        outputs = teacher(as_batch([sample.image for sample in samples], device))
        masks = None
        if outputs.logits is not None:
            found = confident_masks(outputs.logits, (height, width), needed, class_set.void_id)
            masks = found.cpu().numpy()
        boxes = _boxes(outputs, height, width)
        for index, sample in enumerate(samples):
            folder.write(
                _flat(sample.name),
                sample.image,
                None if masks is None else masks[index],
                None if boxes is None else confident_boxes(boxes[index], class_set, thresholds.score),
            )
        report("Labelling", len(folder.records), len(source))
    folder.finish({**this_command(), **(about or {})})
    return out


def _unknown_things(teacher: Teacher, class_set: ClassSet) -> list[int]:
    """Ids of the things that a detecting teacher cannot say."""
    if teacher.known_things is None:
        return []
    known = teacher.known_things.tolist()
    return [item.id for item, says in zip(class_set.things, known, strict=True) if not says]


def _boxes(outputs: TeacherOutputs, height: int, width: int) -> list[Any] | None:
    if outputs.boxes is not None:
        return outputs.boxes
    if outputs.detection is None:
        return None
    return [clip(item, height, width) for item in decode_maps(outputs.detection)]


def _batches(source: Source, folder: LabelFolder, most: int) -> Iterator[list[Sample]]:
    """Frames that have no labels yet, of one size in a batch."""
    waiting: list[Sample] = []
    seen: set[str] = set()
    for index in range(len(source)):
        sample = source[index]
        name = _flat(sample.name)
        if name in seen:
            raise TrainingError(f"two frames are named {name}: their labels would overwrite each other")
        seen.add(name)
        if name in folder.records:
            continue
        if waiting and (len(waiting) == most or waiting[0].size != sample.size):
            yield waiting
            waiting = []
        waiting.append(sample)
    if waiting:
        yield waiting


def _flat(name: str) -> str:
    """Frames of subfolders are named by their path: labelled folders are flat."""
    return name.replace("/", "_")
