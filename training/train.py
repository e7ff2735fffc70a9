"""Runs a recipe: data, teacher, student, Lightning trainer, run folder."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from distill_perception.compare.model_cost import ModelCost, write_model_cost
from training.curves import plot_curves
from training.data.module import SampleDataModule
from training.distillation.module import DistillationModule
from training.errors import TrainingError
from training.models.table import model_row
from training.recipe import Recipe
from training.run_folder import CHECKPOINTS, LAST, RESULT, start_run
from training.teachers.open import open_teacher

PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def train(recipe: Recipe, folder: Path, resume: bool = False) -> dict[str, float]:
    """Train `recipe` into `folder` and return its validation metrics (averaged weights, last epoch).

    Raises:
        TrainingError: `folder` already holds a run and `resume` is false, or data or teacher are unusable.
    """
    checkpoint = folder / CHECKPOINTS / LAST
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{folder} already holds a run: add --resume to go on, or choose another --out")
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    data = SampleDataModule(recipe.data, recipe.optimizer.batch, recipe.seed)
    data.setup("fit")
    steps_an_epoch = math.ceil(data.steps_per_epoch / recipe.optimizer.accumulate)
    teacher = None if recipe.teacher is None else open_teacher(recipe.teacher, data.class_set)
    steps = steps_an_epoch * recipe.optimizer.epochs
    module = DistillationModule(recipe, data.class_set, data.class_frequencies(), steps, teacher)
    start_run(folder, recipe)

    callbacks: list[Callback] = [
        ModelCheckpoint(folder / CHECKPOINTS, filename="epoch", save_last=True, enable_version_counter=False),
        TQDMProgressBar(refresh_rate=5),
    ]
    if recipe.optimizer.ema > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.optimizer.ema))
    trainer = L.Trainer(
        max_epochs=recipe.optimizer.epochs,
        accelerator="auto",
        devices=1,
        precision=PRECISIONS[recipe.optimizer.precision],
        accumulate_grad_batches=recipe.optimizer.accumulate,
        use_distributed_sampler=False,  # the data module shares out frames itself
        callbacks=callbacks,
        logger=CSVLogger(folder, name="", version="log"),
        num_sanity_val_steps=0,
        log_every_n_steps=min(10, steps_an_epoch),
        enable_model_summary=False,
    )
    record_cost(folder, recipe, module)
    begin = time.monotonic()
    try:
        trainer.fit(module, data, ckpt_path=checkpoint if resume and checkpoint.exists() else None)
    except SystemExit:  # Lightning turns Ctrl-C into exit(1)
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    plot_curves(folder)
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if not k.startswith("loss/")}
    result = {
        "epochs": recipe.optimizer.epochs,
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "metrics": {k: None if math.isnan(v) else round(v, 5) for k, v in metrics.items()},
    }
    (folder / RESULT).write_text(json.dumps(result, indent=2) + "\n")
    return metrics


def record_cost(folder: Path, recipe: Recipe, module: DistillationModule) -> None:
    """Write parameters and multiply-accumulates beside the run, for `distill-perception compare`."""
    size = recipe.data.size
    row = model_row(
        recipe.name, recipe.model, len(module.class_set.classes), len(module.class_set.things), size
    )
    write_model_cost(folder, ModelCost(parameters=row.parameters, macs=row.macs, input=size))


def set_threads(count: int) -> None:
    """Limit torch's CPU threads; 0 leaves its default."""
    if count > 0:
        torch.set_num_threads(count)
