"""Trains one recipe with many lists of distillation losses, over several seeds, to see what each is worth.

recipe: {name: ablation, ..., teacher: {run: runs/camvid_teacher}}
arms:
  kl: [{name: kl}]
  kl_cwd: [{name: kl}, {name: cwd, weight: 3.0}]
seeds: [1, 2]
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from distill_perception.strict import StrictModel, describe_validation_error
from training.distillation.spec import LossEntries
from training.errors import TrainingError
from training.hardware import Hardware
from training.lesson import NothingToLearnError
from training.recipe import Recipe
from training.stages import NO_TEACHER, STAGES
from training.train import ONE_PROCESS, train

LABELS = "labels"


class Ablation(StrictModel):
    """See the module. The recipe's own losses on labels and its budget hold for every arm."""

    recipe: Recipe = Field(description="what all runs have in common")
    arms: dict[str, LossEntries] = Field(
        min_length=1,
        description="by names of yours, lists as in `distillation`; labels alone are always trained too",
    )
    seeds: list[int] = Field([1, 2], min_length=1, description="each list is trained with each of them")

    @model_validator(mode="after")
    def _baseline_is_added(self) -> Ablation:
        if self.recipe.teacher is None:
            raise ValueError("recipe: it needs a teacher section")
        if named := [stage.name for stage in self.recipe.stages if stage.distillation is not None]:
            raise ValueError(
                f"recipe.stages: '{named[0]}' has a distillation list of its own, which would replace "
                "every arm's: leave it out"
            )
        if LABELS in self.arms:
            raise ValueError(f"arms: '{LABELS}' is the baseline without a teacher, which is always trained")
        self.recipes()  # a mistake in the last arm is found before the first one is trained
        return self

    def recipes(self) -> list[Recipe]:
        """Every run, all arms of a seed before the next seed; the baseline is first.

        Raises:
            ValueError: an arm does not fit the recipe.
        """
        base = self.recipe.model_dump(mode="json")
        runs = []
        for seed in self.seeds:
            for name, losses in {LABELS: [], **self.arms}.items():
                changes = {
                    "name": f"{name}_s{seed}",
                    "seed": seed,
                    "teacher": base["teacher"] if losses else None,
                    "distillation": [entry.model_dump(mode="json") for entry in losses],
                    STAGES: [stage if losses else {**stage, "teacher": NO_TEACHER} for stage in base[STAGES]],
                }
                try:
                    runs.append(Recipe.model_validate(base | changes))
                except ValidationError as error:
                    raise ValueError(f"arms.{name}: {describe_validation_error(error)}") from error
        return runs


def ablate(
    ablation: Ablation,
    folder: Path,
    tell: Callable[[str], None],
    hardware: Hardware = ONE_PROCESS,
    only: Sequence[str] = (),
) -> list[Path]:
    """Train every run into a folder of its own; what was finished before stays, what was cut off goes on.

    Runs of labels alone are left out where there are no labels.

    Args:
        tell: is given a line of progress before each run.
        only: names or patterns (`kl_s*`) of the runs to train, in the order of the patterns; all if empty.

    Raises:
        TrainingError: as `train`, or a pattern matches no run.
    """
    recipes = _chosen(ablation.recipes(), only)
    trained: list[Path] = []
    for number, recipe in enumerate(recipes, 1):
        tell(f"{number}/{len(recipes)}: {recipe.name}")
        try:
            train(recipe, folder / recipe.name, resume=True, hardware=hardware)
        except NothingToLearnError:
            tell(f"{recipe.name} is left out: no source of data.train has labels")
        else:
            trained.append(folder / recipe.name)
    return trained


def _chosen(recipes: list[Recipe], only: Sequence[str]) -> list[Recipe]:
    if not only:
        return recipes
    chosen: dict[str, Recipe] = {}
    for pattern in only:
        matches = {recipe.name: recipe for recipe in recipes if fnmatch.fnmatchcase(recipe.name, pattern)}
        if not matches:
            known = ", ".join(recipe.name for recipe in recipes)
            raise TrainingError(f"--only {pattern}: no such run; there are: {known}")
        chosen |= matches
    return list(chosen.values())
