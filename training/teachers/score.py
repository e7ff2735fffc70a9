"""How well a teacher sees by itself, with all its members and views: what a student of it can hope for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill_perception.compare.model_cost import MODEL_COST_NAME, ModelCost, write_model_cost
from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.data.spec import DataSpec
from training.errors import TrainingError
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_batch import score_boxes, score_outputs
from training.evaluation.score_sources import score_sources
from training.lesson import has_labels, labels_of
from training.models.table import count_macs
from training.provenance import this_command
from training.run_folder import PROVENANCE, RESULT, refuse_unwritable, write_result
from training.teachers.base import ScoredBoxes, Teacher, TeacherOutputs

MAX_DETECTIONS = 100  # COCO's, and what students have by default
FILES = {PROVENANCE, RESULT, MODEL_COST_NAME}


def score_teacher(teacher: Teacher, data: DataSpec, batch: int) -> dict[str, float]:
    """Scores on the validation data, by names such as `miou/camvid`, as students have them.

    Raises:
        TrainingError: the validation data is unusable, or has no labels of what the teacher does.
    """
    knows = {"segmentation": teacher.known, "detection": teacher.known_things}
    tasks = [task for task, known in knows.items() if known is not None]
    if not has_labels(data.val, tasks):
        raise TrainingError(f"data.val: no source has labels ({labels_of(tasks)}) to score a teacher by")
    module = SampleDataModule(data, batch, seed=0)
    module.setup("validate")
    device = next(teacher.parameters()).device
    things = torch.tensor([item.id for item in module.class_set.things], device=device)

    def add(evaluator: Evaluator, labelled: Batch) -> None:
        _add(evaluator, teacher(labelled.images.to(device).float()), things, labelled)

    return score_sources(module, add, tasks)


def _add(evaluator: Evaluator, answer: TeacherOutputs, things: Tensor, labelled: Batch) -> None:
    """Boxes that the teacher says itself rather than the maps that are drawn from them."""
    drawn = answer.boxes is not None
    out = TeacherOutputs(answer.logits, None if drawn else answer.detection)
    score_outputs(evaluator, out, things, labelled, MAX_DETECTIONS)
    if answer.boxes is not None:
        score_boxes(evaluator, [_of_best_class(item, things) for item in answer.boxes], labelled)


def _of_best_class(item: ScoredBoxes, things: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scores, channel = item.scores.max(1)
    return item.boxes, scores, things[channel]


def teacher_cost(teacher: Teacher, size: tuple[int, int]) -> ModelCost:
    """Its parameters, and multiply-accumulates of one frame of `size` (height, width) in all its views."""
    frame = torch.zeros(1, 3, *size, device=next(teacher.parameters()).device)
    parameters = sum(item.numel() for item in teacher.parameters())
    return ModelCost(parameters=parameters, macs=count_macs(teacher, frame), input=size)


def write_teacher_scores(
    folder: Path, scores: dict[str, float], cost: ModelCost, about: dict[str, Any]
) -> None:
    """Write them as a run's, for `distill-perception compare` to set students beside.

    Args:
        about: what the teacher is, for the provenance.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = {**this_command(), **about}
    (folder / PROVENANCE).write_text(json.dumps(told, indent=2) + "\n")
    write_model_cost(folder, cost)
    write_result(folder, 0, 0.0, scores)


def check_folder(folder: Path) -> None:
    """Scores go into a folder of their own.

    Raises:
        TrainingError: it holds something else, or cannot be written.
    """
    refuse_unwritable(folder)
    if folder.is_dir() and not {item.name for item in folder.iterdir()} <= FILES:
        raise TrainingError(f"{folder} holds something else: name another folder with --out")
