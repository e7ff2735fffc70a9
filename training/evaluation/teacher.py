"""How alike the finished student and its teacher answer on the validation data."""

from __future__ import annotations

import torch

from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.distillation.maps import mostly_foreign
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_sources import score_sources
from training.models.multi_task import MultiTaskNet
from training.teachers.base import Teacher


def teacher_scores(
    model: MultiTaskNet, teacher: Teacher, data: SampleDataModule, device: torch.device
) -> dict[str, float]:
    """`agreement` and `teacher_kl` of each validation source, under names such as `agreement/camvid`.

    Of frames without labels, pixels that the teacher holds for none of the student's classes do not count.
    Empty where student or teacher does not segment.
    """
    if model.head is None or teacher.known is None:
        return {}
    model.to(device).eval()
    teacher.to(device)

    def add(evaluator: Evaluator, batch: Batch) -> None:
        images = batch.images.to(device).float().contiguous(memory_format=torch.channels_last)
        hints = teacher(images).logits
        logits = model(images).logits
        inside = None
        if batch.inside is not None:
            inside = batch.inside.to(device) & ~mostly_foreign(hints, (images.shape[-2], images.shape[-1]))
        evaluator.update_masks(logits, batch.masks, batch.has_mask, hints, inside=inside)

    return score_sources(data, add, teacher=True)
