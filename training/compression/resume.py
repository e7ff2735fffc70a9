"""The start of a compression in a folder, and what must be unchanged for it to go on there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from distill_perception.bundle import sha256_of
from distill_perception.whole_file import write_whole
from training.compression.points import read_point
from training.compression.spec import (
    ChannelStep,
    CompressRecipe,
    QatStep,
    QuantizeStep,
    Step,
    load_compress_recipe,
)
from training.compression.steps import step_folder, uses_teacher
from training.errors import TrainingError
from training.run_folder import weights_file

RECIPE, START_WEIGHTS = "compress.yaml", "start.sha256"


def start(spec: CompressRecipe, folder: Path, resume: bool) -> None:
    """Note in `folder` what is compressed there and how, or check that it is the same as before.

    Raises:
        TrainingError: `folder` is taken, or what its finished steps were made with has changed.
    """
    path, noted = folder / RECIPE, folder / START_WEIGHTS
    weights = weights_file(spec.run)
    sha256 = sha256_of(weights)
    if path.is_file():
        if not resume:
            raise TrainingError(
                f"{folder} already holds a compression: add --resume, or choose another --out"
            )
        before = load_compress_recipe(path)
        changed = [key for key in _settings(before, folder) if getattr(before, key) != getattr(spec, key)]
        count = len(done_steps(before, folder))
        if spec.steps[:count] != before.steps[:count]:
            changed.append("steps")
        if changed:
            keys = ", ".join(changed)
            raise TrainingError(f"{path} has other {keys} than the recipe: choose another --out")
        if not noted.is_file() or noted.read_text().split()[:1] != [sha256]:
            raise TrainingError(
                f"{folder} was not started from what {weights} holds now: choose another --out"
            )
        _remove_replaced(before, spec, folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False))
    noted.write_text(f"{sha256}  {weights}\n")


def _remove_replaced(before: CompressRecipe, spec: CompressRecipe, folder: Path) -> None:
    """Remove what steps that did not end have left, where others have taken their places in the recipe."""
    old, new = (
        {step_folder(folder, number, step) for number, step in enumerate(recipe.steps, 1)}
        for recipe in (before, spec)
    )
    for place in old - new:
        if read_point(place) is None:
            shutil.rmtree(place, ignore_errors=True)


def _settings(spec: CompressRecipe, folder: Path) -> Iterator[str]:
    """Keys that have an effect on the steps that ended in `folder`."""
    yield from ("run", "engine", "device", "data")
    done = done_steps(spec, folder)
    if any(uses_teacher(step) for step in done):
        yield from ("teacher", "distillation")
    if any(isinstance(step, ChannelStep) for step in done):
        yield "threads"
    if any(_max_float_layers(step) for step in done):
        yield from ("max_miou_drop", "max_map50_drop")


def done_steps(spec: CompressRecipe, folder: Path) -> list[Step]:
    """The steps that ended in `folder`; those behind them may be changed."""
    numbered = enumerate(spec.steps, 1)
    return [step for number, step in numbered if read_point(step_folder(folder, number, step)) is not None]


def _max_float_layers(step: Step) -> int:
    if isinstance(step, QatStep):
        return step.quantize.max_float_layers
    return step.max_float_layers if isinstance(step, QuantizeStep) else 0
