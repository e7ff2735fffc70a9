"""Scores of a finished run, anew: after its validation data or the code that scores it has changed."""

from __future__ import annotations

import warnings
from pathlib import Path

from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.errors import TrainingWarning
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_batch import score_batch
from training.evaluation.score_sources import score_sources
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe
from training.run_folder import (
    RESULT,
    load_model,
    note_evaluation,
    read_json,
    stored_metrics,
    write_result,
)
from training.score_lines import is_of_teacher, unlabelled


def evaluate_run(run: Path) -> dict[str, float]:
    """Score a run's network and write the scores into its result, in place of the old ones.

    The run's provenance tells by which command and commit. Agreement with a teacher, which only a training
    with it at hand measures, is kept; where no frame has labels, so is the whole result.

    Returns:
        Its scores on the recipe's validation data, as `train` gives them.

    Raises:
        TrainingError: the run is not finished, or its validation data is not where the recipe says.
    """
    recipe, model = load_model(run)
    before = read_json(run, RESULT)
    kept = {key: value for key, value in stored_metrics(run).items() if is_of_teacher(key)}
    metrics = validate(model, recipe)
    if unlabelled(metrics):
        text = f"{run}: no validation frame has labels, so its scores stay as they are"
        warnings.warn(text, TrainingWarning, stacklevel=2)
        return stored_metrics(run)
    metrics |= kept
    write_result(run, before["epochs"], before["minutes"], metrics, more=before)
    note_evaluation(run)
    return metrics


def validate(model: MultiTaskNet, recipe: Recipe) -> dict[str, float]:
    """All scores of a network on a recipe's validation data, by names such as `miou/camvid`."""
    data = SampleDataModule(recipe.data, recipe.optimizer.batch, recipe.seed)
    data.setup("validate")
    model.eval()

    def add(evaluator: Evaluator, batch: Batch) -> None:
        score_batch(evaluator, model, batch, recipe.model.detection.max_detections)

    return score_sources(data, add, recipe.model.tasks)
