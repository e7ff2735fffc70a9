"""Scores of a finished run, anew: after its validation data or the code that scores it has changed."""

from __future__ import annotations

from pathlib import Path

import torch

from training.data.module import SampleDataModule
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_batch import score_batch
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe
from training.run_folder import RESULT, load_model, note_evaluation, read_json, write_result


def evaluate_run(run: Path) -> dict[str, float]:
    """Score a run's network and write the scores into its result, in place of the old ones.

    The run's provenance tells by which command and commit. Agreement with a teacher, which only a training
    with it at hand measures, is not among the new scores.

    Returns:
        Its scores on the recipe's validation data, as `train` gives them.

    Raises:
        TrainingError: the run is not finished, or its validation data is not where the recipe says.
    """
    recipe, model = load_model(run)
    before = read_json(run, RESULT)
    metrics = validate(model, recipe)
    write_result(run, before["epochs"], before["minutes"], metrics)
    note_evaluation(run)
    return metrics


def validate(model: MultiTaskNet, recipe: Recipe) -> dict[str, float]:
    """All scores of a network on a recipe's validation data, by names such as `miou/camvid`."""
    data = SampleDataModule(recipe.data, recipe.optimizer.batch, recipe.seed)
    data.setup("validate")
    classes, scores = data.class_set, {}
    for source, batches in zip(recipe.data.val, data.val_dataloader(), strict=True):
        evaluator = Evaluator(classes.classes, classes.void_id, recipe.model.tasks)
        with torch.inference_mode():
            for batch in batches:
                score_batch(evaluator, model.eval(), batch, recipe.model.detection.max_detections)
        scores |= evaluator.compute(source.name)
    return scores
