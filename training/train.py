"""Runs a recipe, with stages or without."""

from __future__ import annotations

from pathlib import Path

import torch

from training.hardware import Hardware
from training.recipe import Recipe
from training.run_folder import locked_run
from training.same_recipe import refuse_other_recipe
from training.staged import train_stages
from training.trainer import train_plain

ONE_PROCESS = Hardware()


def train(
    recipe: Recipe, folder: Path, resume: bool = False, hardware: Hardware = ONE_PROCESS
) -> dict[str, float]:
    """Train `recipe` into `folder` and return its validation metrics (averaged weights, last epoch).

    A recipe with stages trains each into a run folder of its own under `folder`.

    Raises:
        TrainingError: `folder` already holds a run and `resume` is false, or one of another recipe, or
            another training writes there; data or teacher are unusable, or there is nothing to learn from.
    """
    with locked_run(folder):
        if resume:
            refuse_other_recipe(folder, recipe)
        if recipe.stages:
            return train_stages(recipe, folder, resume, hardware)
        return train_plain(recipe, folder, resume, hardware, recipe.name)


def set_threads(count: int) -> None:
    """Limit torch's CPU threads; 0 leaves its default."""
    if count > 0:
        torch.set_num_threads(count)
