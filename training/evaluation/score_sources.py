"""One pass over a recipe's validation data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import track

from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.evaluation.evaluator import Evaluator


def score_sources(
    data: SampleDataModule,
    add: Callable[[Evaluator, Batch], None],
    tasks: Sequence[str] = (),
    teacher: bool = False,
) -> dict[str, float]:
    """Scores of each validation source, under names such as `miou/camvid`, with a progress bar.

    Args:
        data: after `setup`.
        add: gives an answer to a labelled batch to the evaluator.
        tasks, teacher: what is scored, see `Evaluator`.
    """
    classes, scores = data.class_set, {}
    for source, batches in zip(data.spec.val, data.val_dataloader(), strict=True):
        evaluator = Evaluator(classes.classes, classes.void_id, tasks, teacher)
        shown = track(
            batches,
            f"Scoring on {source.name}",
            console=Console(stderr=True),
            transient=True,
            disable=rank_zero_only.rank != 0,
        )
        with torch.inference_mode():
            for batch in shown:
                add(evaluator, batch)
        scores |= evaluator.compute(source.name)
    return scores
