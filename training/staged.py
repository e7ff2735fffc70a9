"""Trains a recipe's stages one after the other; their folder as a whole is a run folder like any other."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import yaml
from lightning.pytorch.utilities import rank_zero_only

from distill_perception.compare.model_cost import MODEL_COST_NAME
from distill_perception.whole_file import write_whole
from training.curves import plot_curves
from training.hardware import Hardware
from training.lesson import refuse_nothing_to_learn
from training.models.shapes import SHAPES
from training.recipe import Recipe
from training.run_folder import CHECKPOINTS, LAST, RESULT, STAGED_RECIPE, read_json, start_run
from training.run_log import joined, read_rows, write_rows
from training.stages import STAGES, stage_folder
from training.trainer import is_finished, refuse_to_overwrite, train_plain


def train_stages(recipe: Recipe, folder: Path, resume: bool, hardware: Hardware) -> dict[str, float]:
    """Train each stage into `folder`/stages/NAME and return the last one's metrics.

    With `resume` finished stages stay as they are and the interrupted one goes on. `folder` gets the last
    stage's recipe (under the whole recipe's name and seed), checkpoint and metrics, and the curves of all, so
    that whatever reads run folders need not know of stages; the recipe as given is recipe_staged.yaml.

    Raises:
        TrainingError: `folder` already holds a run and `resume` is false, or as `train_plain`.
    """
    stages = recipe.plain_stages(folder)
    refuse_to_overwrite(folder, resume)
    refuse_to_overwrite(stage_folder(folder, stages[0][0]), resume)
    for name, plain in stages:  # a last one that teaches nothing is found before the first is trained
        if not (resume and is_finished(stage_folder(folder, name), plain)):
            refuse_nothing_to_learn(plain)
    _start(folder, recipe, stages[-1][1])
    metrics: dict[str, float] = {}
    done: list[str] = []
    for number, (name, plain) in enumerate(stages, 1):
        done.append(name)
        title = f"{name} ({number}/{len(stages)})"
        try:
            metrics = train_plain(plain, stage_folder(folder, name), resume, hardware, title)
        finally:  # also when it was interrupted: what there is is shown
            _join_logs(folder, done)
    _finish(folder, done)
    return metrics


@rank_zero_only
def _start(folder: Path, recipe: Recipe, last: Recipe) -> None:
    """Recipes and provenance."""
    start_run(folder, last.model_copy(update={"name": recipe.name, "seed": recipe.seed}))
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    write_whole(folder / STAGED_RECIPE, text)


@rank_zero_only
def _join_logs(folder: Path, names: list[str]) -> None:
    """One log and one picture of the stages so far."""
    logs = [read_rows(stage_folder(folder, name)) for name in names]
    if not any(logs):
        return
    ends = [joined(logs[:count])[-1]["step"] for count in range(1, len(logs)) if logs[count]]
    write_rows(folder, joined(logs))
    plot_curves(folder, [int(step) for step in ends])


@rank_zero_only
def _finish(folder: Path, names: list[str]) -> None:
    """Checkpoint and cost of the last stage; result with the metrics of all."""
    last = stage_folder(folder, names[-1])
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    _same_file(last / CHECKPOINTS / LAST, folder / CHECKPOINTS / LAST)
    shutil.copyfile(last / MODEL_COST_NAME, folder / MODEL_COST_NAME)
    if (last / SHAPES).is_file():
        shutil.copyfile(last / SHAPES, folder / SHAPES)
    results = [read_json(stage_folder(folder, name), RESULT) for name in names]
    result = {
        "epochs": sum(item["epochs"] for item in results),
        "minutes": round(sum(item["minutes"] for item in results), 1),
        "metrics": results[-1]["metrics"],
        STAGES: [{"name": name, **item} for name, item in zip(names, results, strict=True)],
    }
    write_whole(folder / RESULT, json.dumps(result, indent=2) + "\n")


def _same_file(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system knows no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
