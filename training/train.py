"""Runs a recipe: data, teacher, student, Lightning trainer, run folder."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from training.curves import plot_curves
from training.data.class_sets import CAMVID
from training.data.module import FolderDataModule, class_frequencies
from training.distillation.module import DistillationModule
from training.errors import TrainingError
from training.recipe import Recipe
from training.run_folder import CHECKPOINTS, LAST, RESULT, load_model, start_run


def train(recipe: Recipe, folder: Path, resume: bool = False) -> dict[str, float]:
    """Train `recipe` into `folder` and return its validation metrics (averaged weights, last epoch).

    Raises:
        TrainingError: `folder` already holds a run and `resume` is false, or data or teacher are unusable.
    """
    checkpoint = folder / CHECKPOINTS / LAST
    if checkpoint.exists() and not resume:
        raise TrainingError(f"{folder} already holds a run: add --resume to go on, or choose another --out")
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    data = FolderDataModule(recipe.data, recipe.optimizer.batch, recipe.seed)
    data.setup("fit")
    steps_an_epoch = len(data.train) // recipe.optimizer.batch
    if steps_an_epoch == 0:
        raise TrainingError(f"{len(data.train)} frames do not fill one batch of {recipe.optimizer.batch}")
    teacher = None
    if recipe.teacher is not None:
        teacher = load_model(recipe.teacher.run)[1].requires_grad_(False)
    steps = steps_an_epoch * recipe.optimizer.epochs
    module = DistillationModule(recipe, class_frequencies(data.train, len(CAMVID)), steps, teacher)
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
        precision="bf16-mixed" if recipe.optimizer.precision == "bf16" else "32-true",
        callbacks=callbacks,
        logger=CSVLogger(folder, name="", version="log"),
        num_sanity_val_steps=0,
        log_every_n_steps=min(10, steps_an_epoch),
        enable_model_summary=False,
    )
    begin = time.monotonic()
    try:
        trainer.fit(module, data, ckpt_path=checkpoint if resume and checkpoint.exists() else None)
    except SystemExit:  # Lightning turns Ctrl-C into exit(1)
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    plot_curves(folder)
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(("miou/", "iou/"))}
    result = {
        "epochs": recipe.optimizer.epochs,
        "minutes": round((time.monotonic() - begin) / 60, 1),
        "metrics": {k: None if math.isnan(v) else round(v, 5) for k, v in metrics.items()},
    }
    (folder / RESULT).write_text(json.dumps(result, indent=2) + "\n")
    return metrics


def set_threads(count: int) -> None:
    """Limit torch's CPU threads; 0 leaves its default."""
    if count > 0:
        torch.set_num_threads(count)
