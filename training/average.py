"""Means of weights: of runs that went on from one start, a uniform "model soup", and of that start.

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
from training.models.shapes import read_shapes
from training.run_folder import load_model, refuse_taken, write_untrained


def average_runs(runs: Sequence[Path], out: Path, share: float = 1.0) -> dict[str, float]:
    """Write the mean of the runs' networks to `out`, a run folder with the first one's recipe.

    What is learnt late for one task is often lost in another; on the way from the start to the end, most of
    both can be had (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022,
    https://arxiv.org/abs/2109.01903, equation 2).

    Args:
        share: how far to go from the weights that the runs began with (0) to their mean (1).

    Returns:
        Its scores on the recipe's validation data, as `train` gives them.

    Raises:
        TrainingError: one run and the whole way, which is that run; one is unfinished, they are different
            networks or did not go on from one start, or `out` holds a run.
    """
    if len(runs) < 2 and share == 1:
        raise TrainingError("an average takes two runs or more, or a share of the way from one's start")
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
    states = [other.state_dict() for _, other in loaded]
    shares = [share / len(runs)] * len(runs)
    if share < 1:
        states.append(load_model(recipe.model.init)[1].state_dict())
        shares.append(1 - share)
    model.load_state_dict(_mix(states, shares))
    if len(runs) > 1:
        recipe = recipe.model_copy(update={"name": out.name})
    metrics = validate(model, recipe)
    write_untrained(out, recipe, model, read_shapes(runs[0]), metrics)
    return metrics


def _mix(states: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """Counters of batches, the only integers, are the first one's."""
    weights = torch.tensor(shares)
    return {
        name: torch.tensordot(weights, torch.stack([state[name] for state in states]), 1)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
