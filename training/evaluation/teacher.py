"""How alike the finished student and its teacher answer on the validation data."""

from __future__ import annotations

import torch
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import track

from training.data.module import SampleDataModule
from training.evaluation.evaluator import Evaluator
from training.models.multi_task import MultiTaskNet
from training.teachers.base import Teacher


def teacher_scores(
    model: MultiTaskNet, teacher: Teacher, data: SampleDataModule, device: torch.device
) -> dict[str, float]:
    """`agreement` and `teacher_kl` of each validation source, under names such as `agreement/camvid`.

    Empty where student or teacher does not segment.
    """
    if model.head is None or teacher.known is None:
        return {}
    model.to(device).eval()
    teacher.to(device)
    classes, scores = data.class_set, {}
    for source, batches in zip(data.spec.val, data.val_dataloader(), strict=True):
        evaluator = Evaluator(classes.classes, classes.void_id, tasks=(), teacher=True)
        shown = track(
            batches,
            f"asking the teacher about {source.name}",
            console=Console(stderr=True),
            transient=True,
            disable=rank_zero_only.rank != 0,
        )
        with torch.inference_mode():
            for batch in shown:
                images = batch.images.to(device).float().contiguous(memory_format=torch.channels_last)
                hints = teacher(images).logits
                evaluator.update_masks(model(images).logits, batch.masks, batch.has_mask, hints)
        scores |= evaluator.compute(source.name)
    return scores
