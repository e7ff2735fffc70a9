"""Which loss a network follows: the gradient that each sends into what the tasks share."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

import lightning as L
import torch
from rich.progress import track
from torch import Tensor

from training.errors import TrainingError
from training.recipe import Recipe
from training.setting import open_setting
from training.stages import STAGES
from training.teachers.cache.data_module import TaughtDataModule


@dataclass(frozen=True)
class LossShare:
    """One loss of a recipe, means over batches.

    Attributes:
        weight: that the recipe gives it, at the start of the training where it changes.
        value: before it is weighted.
        gradient: L2 norm of the weighted loss's gradient with respect to the encoder's weights.
        share: of the sum of all gradients' norms, 0..1.
    """

    name: str
    weight: float
    value: float
    gradient: float
    share: float


def loss_shares(recipe: Recipe, run: Path | None = None, frames: int = 32) -> list[LossShare]:
    """What each loss of a recipe asks of the encoder, on training frames as the student sees them.

    Losses are on scales of their own, and only their gradients can be compared: one whose share is many times
    another's decides what the tasks' shared layers learn. GradNorm balances tasks by the same norms (Chen et
    al. 2018, https://arxiv.org/abs/1711.02257, section 3). Nothing is trained. Draws are the recipe's seed's.

    Args:
        recipe: without stages (`stage_of` chooses one).
        run: a finished run whose weights the student has; the recipe's start if left out.
        frames: to look at, in the recipe's batches.

    Raises:
        TrainingError: data, start or teacher are unusable.
    """
    if run is not None:
        recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"init": run})})
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    setting = open_setting(recipe)
    if isinstance(setting.data, TaughtDataModule):
        setting.data.prepare_data()
    module = setting.module(steps=1)
    module.model.train()
    module.on_train_epoch_start()
    weights = module.loss_weights(progress=0.0)
    values, norms = defaultdict(list), defaultdict(list)
    count = max(1, frames // recipe.optimizer.batch)
    batches = islice(setting.data.train_dataloader(), count)
    for batch in track(batches, "gradients of losses", total=count, transient=True):
        _, terms = module.losses(batch)
        for name, value in terms.items():
            values[name].append(float(value.detach()))
            norms[name].append(_gradient_norm(weights[name] * value, module.model.encoder))
    means = {name: fmean(found) for name, found in norms.items()}
    total = sum(means.values()) or 1.0
    return [
        LossShare(name, weights[name], fmean(values[name]), norm, norm / total)
        for name, norm in means.items()
    ]


def stage_of(recipe: Recipe, name: str | None, folder: Path) -> Recipe:
    """One stage of a recipe as a plain one; without a name the first, or the recipe itself if it has none.

    Args:
        folder: of a run of the recipe, where a later stage finds the one before it.

    Raises:
        TrainingError: there is no such stage.
    """
    stages = dict(recipe.plain_stages(folder))
    if name is None:
        return next(iter(stages.values()), recipe)
    if name not in stages:
        known = f"it has: {', '.join(stages)}" if stages else "it has no stages"
        raise TrainingError(f"recipe {recipe.name}: no stage '{name}'; {known}")
    return stages[name]


def require_stage_before(recipe: Recipe, name: str | None, folder: Path) -> None:
    """Make sure that what a stage goes on from is there.

    Args:
        recipe: what `stage_of` gave for the other two.

    Raises:
        TrainingError: it is not.
    """
    start = recipe.model.init
    if start is not None and folder / STAGES in start.parents and not start.is_dir():
        raise TrainingError(
            f"{start} is missing: stages before '{name}' are looked for in {folder}; where they lie "
            "elsewhere, give the run folder in place of the recipe"
        )


def _gradient_norm(loss: Tensor, encoder: torch.nn.Module) -> float:
    if not loss.requires_grad:
        return 0.0
    parameters = [p for p in encoder.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return float(torch.nn.utils.get_total_norm([g for g in found if g is not None]))
