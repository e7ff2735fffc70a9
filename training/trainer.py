"""Trains one plain recipe: data, teacher, student, Lightning trainer, run folder."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger
from rich.progress import track

from distill_perception.compare.model_cost import ModelCost, write_model_cost
from training.compression.fake_quant import settle_norms
from training.curves import plot_curves
from training.distillation.module import DistillationModule
from training.errors import TrainingError
from training.evaluation.teacher import teacher_scores
from training.hardware import Hardware
from training.interrupt import StopOnInterrupt
from training.models.shapes import read_shapes
from training.models.table import model_row
from training.progress import StageBar
from training.recipe import Recipe
from training.run_folder import (
    CHECKPOINTS,
    LAST,
    RESULT,
    read_checkpoint,
    read_json,
    start_run,
    stored_metrics,
    write_result,
)
from training.run_log import keep_rows, new_logger
from training.setting import open_setting
from training.teachers.base import Teacher

SETTLING_FRAMES = 96  # before simulated INT8 is trained


def train_plain(
    recipe: Recipe, folder: Path, resume: bool, hardware: Hardware, title: str
) -> dict[str, float]:
    """Train a recipe without stages into `folder` and return its validation metrics.

    Args:
        title: what the progress bar says.

    Raises:
        TrainingError: `folder` already holds a run and `resume` is false, or data or teacher are unusable.
    """
    checkpoint = folder / CHECKPOINTS / LAST
    if resume and is_finished(folder, recipe):
        return stored_metrics(folder)
    refuse_to_overwrite(folder, resume)
    hardware.check(recipe.optimizer.batch)
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    setting = open_setting(recipe)
    data, model, teacher = setting.data, setting.model, setting.teacher
    data.first_epoch = finished_epochs(checkpoint)
    steps_an_epoch = math.ceil(data.steps_per_epoch / recipe.optimizer.accumulate)
    if recipe.model.qat is not None and not checkpoint.exists():
        count = max(1, SETTLING_FRAMES // recipe.optimizer.batch)
        some = islice(data.train_dataloader(), count)
        shown = track(some, "batch norms for INT8", total=count, transient=True)
        settle_norms(model, (batch.images.float() for batch in shown))
    module = setting.module(steps_an_epoch * recipe.optimizer.epochs, hardware.shards_teacher)
    logger = new_logger(folder)
    timer = Timer()  # checkpoints keep it: what was trained before a resume counts
    trainer = make_trainer(recipe, folder, hardware, title, logger, min(10, steps_an_epoch), timer)
    if trainer.is_global_zero:
        start_run(folder, recipe)
        record_cost(folder, recipe, module)
        keep_rows(logger, folder, data.first_epoch)
    try:
        trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.exists() else None)
    except SystemExit:  # Lightning turns Ctrl-C into exit(1)
        if trainer.interrupted:
            if trainer.is_global_zero:
                plot_curves(folder)
            raise KeyboardInterrupt from None
        raise
    if data.first_epoch >= recipe.optimizer.epochs:  # killed after the last epoch: nothing was left to train
        trainer.validate(module, datamodule=data, verbose=False)
    metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if not k.startswith("loss/")}
    if isinstance(teacher, Teacher) and module.distillation is not None and not hardware.shards_teacher:
        module.load_state_dict(read_checkpoint(checkpoint)["state_dict"])  # the averaged weights
        metrics |= teacher_scores(module.model, teacher, data, trainer.strategy.root_device)
    if trainer.is_global_zero:
        plot_curves(folder)
        write_result(folder, recipe.optimizer.epochs, timer.time_elapsed() / 60, metrics)
    trainer.strategy.barrier("result")  # no process goes on to a next stage that the folder does not show
    return metrics


def make_trainer(
    recipe: Recipe,
    folder: Path,
    hardware: Hardware,
    title: str,
    logger: CSVLogger,
    log_every: int,
    timer: Timer,
) -> L.Trainer:
    """Lightning's trainer with checkpoints, progress bar, averaged weights and the timer."""
    callbacks: list[Callback] = [
        timer,
        ModelCheckpoint(
            folder / CHECKPOINTS,
            filename="epoch",
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        StageBar(title),
        StopOnInterrupt(),
    ]
    if recipe.optimizer.ema > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.optimizer.ema))
    return L.Trainer(
        **hardware.trainer_options(recipe.optimizer.precision),
        max_epochs=recipe.optimizer.epochs,
        check_val_every_n_epoch=recipe.optimizer.validate_every,
        accumulate_grad_batches=recipe.optimizer.accumulate,
        use_distributed_sampler=False,  # the data module shares out frames itself
        callbacks=callbacks,
        logger=logger,
        num_sanity_val_steps=0,
        log_every_n_steps=log_every,
        enable_model_summary=False,
    )


def refuse_to_overwrite(folder: Path, resume: bool) -> None:
    """Raises TrainingError where a run would take the place of another one."""
    finished, begun = (folder / RESULT).exists(), (folder / CHECKPOINTS / LAST).exists()
    if resume and finished and not begun:
        raise TrainingError(
            f"{folder} holds a network without a checkpoint to go on from (restored, pruned or averaged): "
            "choose another --out; a recipe goes on with such a network by model.init"
        )
    if not resume and (finished or begun):
        raise TrainingError(f"{folder} already holds a run: add --resume to go on, or choose another --out")


def is_finished(folder: Path, recipe: Recipe) -> bool:
    """Whether a run did all its epochs and wrote its result."""
    return (folder / RESULT).is_file() and read_json(folder, RESULT)["epochs"] >= recipe.optimizer.epochs


def finished_epochs(checkpoint: Path) -> int:
    """Epochs that a checkpoint has behind it; 0 if there is none."""
    if not checkpoint.is_file():
        return 0
    return int(read_checkpoint(checkpoint)["epoch"]) + 1


def record_cost(folder: Path, recipe: Recipe, module: DistillationModule) -> None:
    """Write parameters and multiply-accumulates beside the run, for `distill-perception compare`."""
    size = recipe.data.size
    row = model_row(
        recipe.name,
        recipe.model,
        len(module.class_set.classes),
        len(module.class_set.things),
        size,
        read_shapes(folder),
    )
    write_model_cost(folder, ModelCost(parameters=row.parameters, macs=row.macs, input=size))
