"""Means of weights: of runs that went on from one start, a uniform "model soup", and of a run and its start.

Networks that were finetuned from the same weights mostly lie in one basin, where the mean of their weights
sees better than they do and costs no more than one (Wortsman et al., "Model soups", ICML 2022,
https://arxiv.org/abs/2203.05482, section 2). Mostly: look at the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.errors import TrainingError
from training.evaluate import validate
from training.models.multi_task import MultiTaskNet
from training.models.shapes import read_shapes
from training.recipe import Recipe
from training.run_folder import load_model, refuse_taken, write_untrained


def average_runs(runs: Sequence[Path], out: Path) -> dict[str, float]:
    """Write the mean of the runs' networks to `out`, a run folder with the first one's recipe.

    Returns:
        Its scores on the recipe's validation data, as `train` gives them.

    Raises:
        TrainingError: fewer than two runs, one is unfinished, they are different networks or did not go on
            from one start, or `out` holds a run.
    """
    if len(runs) < 2:
        raise TrainingError("an average takes two runs or more")
    refuse_taken(out)
    loaded = [load_model(run) for run in runs]
    recipe, model = loaded[0]
    for run, (other, _) in zip(runs[1:], loaded[1:], strict=True):
        if other.model != recipe.model or other.data.class_set != recipe.data.class_set:
            raise TrainingError(
                f"{run} has another network, start or class set than {runs[0]}: see their recipe.yaml"
            )
    if recipe.model.init is None:
        raise TrainingError(
            f"{runs[0]} did not go on from another run (model.init), so its heads began at random"
        )
    model.load_state_dict(_mix([other.state_dict() for _, other in loaded], [1 / len(loaded)] * len(loaded)))
    return _write(model, recipe.model_copy(update={"name": out.name}), runs[0], out)


def go_part_of_the_way(run: Path, share: float, out: Path) -> dict[str, float]:
    """Write to `out` a run with weights between those that `run` started from and those that it ended with.

    What is learnt late for one task is often lost in another; on the way between, most of both can be had
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022, https://arxiv.org/abs/2109.01903,
    equation 2).

    Args:
        share: of the way from the start (0) to the end (1).

    Returns:
        Its scores on the recipe's validation data, as `train` gives them.

    Raises:
        TrainingError: `run` is unfinished or did not go on from another one (model.init), or `out` holds
            a run.
    """
    refuse_taken(out)
    recipe, model = load_model(run)
    if recipe.model.init is None:
        raise TrainingError(f"{run} did not go on from another run (model.init)")
    start = load_model(recipe.model.init)[1]
    model.load_state_dict(_mix([model.state_dict(), start.state_dict()], [share, 1 - share]))
    return _write(model, recipe, run, out)


def _mix(states: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Counters of batches, the only integers, are the first one's."""
    weights = torch.tensor(shares)
    return {
        name: torch.tensordot(weights, torch.stack([state[name] for state in states]), 1)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def _write(model: MultiTaskNet, recipe: Recipe, shaped_as: Path, out: Path) -> dict[str, float]:
    metrics = validate(model, recipe)
    write_untrained(out, recipe, model, read_shapes(shaped_as), metrics)
    return metrics
