"""What each kind of step does: from the run folder that it goes on with to one of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.average import average_runs
from training.compression.archive.run import pack, unpack
from training.compression.pruning.run import prune_run, sparsify_run
from training.compression.spec import (
    ChannelStep,
    ClusterStep,
    CompressRecipe,
    FinetuneStep,
    QatStep,
    QuantizeSpec,
    QuantizeStep,
    SparsityStep,
    Step,
    TakeStep,
    TrainingStep,
)
from training.recipe import Recipe, load_recipe
from training.run_folder import RECIPE
from training.same_recipe import is_other_recipe
from training.stages import StageSpec, plain_recipes
from training.train import train

STEPS, RUN, TRAINED, ARCHIVE = "steps", "run", "trained", "weights.dpa"


@dataclass(frozen=True)
class Outcome:
    """What a step leaves.

    Attributes:
        run: the network to deploy. next: the network that the following step goes on with.
        int8: how to quantize it; None for FP32.
        archive: file that would be shipped in place of the ONNX file.
    """

    run: Path
    next: Path
    int8: QuantizeSpec | None = None
    archive: Path | None = None


def step_folder(folder: Path, number: int, step: Step) -> Path:
    """Where a step, counted from 1, of the compression in `folder` works; its name is the point's."""
    return folder / STEPS / f"{number:02d}_{step.do}"


def outcome(step: Step, run: Path, folder: Path) -> Outcome:
    """Where a step that goes on with `run` and works in `folder` leaves what it makes."""
    out = folder / RUN
    if isinstance(step, QuantizeStep):
        return Outcome(run, run, QuantizeSpec.model_validate(step.model_dump(exclude={"do"})))
    if isinstance(step, QatStep):
        return Outcome(out, run, step.quantize)
    if isinstance(step, ClusterStep):
        return Outcome(out, run, archive=folder / ARCHIVE)
    return Outcome(out, out)


def uses_teacher(step: Step) -> bool:
    """Whether the step takes gradients of the recipe's whole loss, its teacher's part too."""
    return isinstance(step, TrainingStep) or (isinstance(step, ChannelStep) and step.importance == "taylor")


def base_recipe(spec: CompressRecipe) -> Recipe:
    """The start's recipe with what the compress recipe changes, as if it had been trained from scratch."""
    recipe = load_recipe(spec.run / RECIPE)
    trained_like = {"init": None, "keep_zeros": False, "qat": None, "qat_float_layers": ()}
    plain = recipe.model.model_copy(update=trained_like)
    changes: dict[str, Any] = {"name": spec.name, "model": plain}
    for key in ("teacher", "distillation", "data"):
        if getattr(spec, key) is not None:
            changes[key] = getattr(spec, key)
    return Recipe.model_validate(recipe.model_copy(update=changes).model_dump(mode="json"))


def do(step: Step, run: Path, folder: Path, recipe: Recipe, spec: CompressRecipe, sparse: bool) -> None:
    """Do a step.

    Args:
        run: the network to go on with. folder: the step's own, where an interrupted training goes on, or
            begins anew if the step was changed.
        recipe: see `base_recipe`. spec: how latency is measured. sparse: zeros stay zero in training.
    """
    out = folder / RUN
    if isinstance(step, TrainingStep):
        share = step.share if isinstance(step, FinetuneStep) else 1.0
        trained = folder / TRAINED
        if share == 1:
            if trained.exists():  # the step was begun with a share, of which `out` may be the mean
                shutil.rmtree(out, ignore_errors=True)
                trained.rename(out)
            trained = out
        wanted = training_recipe(step, run, recipe, sparse)
        if is_other_recipe(trained, wanted):
            shutil.rmtree(trained)
        train(wanted, trained, resume=True)
        if share < 1:
            shutil.rmtree(out, ignore_errors=True)
            average_runs([trained], out, share)
        return
    shutil.rmtree(out, ignore_errors=True)
    if isinstance(step, TakeStep):
        shutil.copytree(step.run, out)  # what is done with it there later changes nothing here
    elif isinstance(step, ChannelStep):
        prune_run(run, step, recipe, spec, out)
    elif isinstance(step, SparsityStep):
        sparsify_run(run, step, recipe, out)
    elif isinstance(step, ClusterStep):
        pack(run, folder / ARCHIVE, step.bits)
        unpack(folder / ARCHIVE, out)


def training_recipe(step: TrainingStep, run: Path, recipe: Recipe, sparse: bool) -> Recipe:
    """The recipe that trains on from `run`.

    Raises:
        ValueError: the step changes something that is not there or does not fit.
    """
    model: dict[str, Any] = {"init": run, "keep_zeros": sparse}
    optimizer = step.optimizer
    if isinstance(step, QatStep):
        model |= {"qat": step.quantize.activations, "qat_float_layers": step.quantize.float_layers}
        optimizer = {"precision": "32", **optimizer}  # bf16 has no more digits than INT8
    start = recipe.model_copy(update={"model": recipe.model.model_copy(update=model)})
    stage = StageSpec(
        name=step.do,
        epochs=step.epochs,
        lr=step.lr,
        optimizer=optimizer,
        augment=step.augment,
        loss=step.loss,
    )
    ((_, values),) = plain_recipes(start.model_dump(mode="json"), [stage], run)
    return Recipe.model_validate(values)
