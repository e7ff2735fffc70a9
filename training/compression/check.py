"""What can be told of a compress recipe before its first step is done, which may be hours before its last."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from torch import nn

from distill_perception.engines import engine_problems
from distill_perception.strict import describe_validation_error
from training.compression.layer_names import matching
from training.compression.pruning.run import require_importance
from training.compression.resume import done_steps
from training.compression.spec import ChannelStep, CompressRecipe, TakeStep, TrainingStep
from training.compression.steps import base_recipe, outcome, training_recipe, uses_teacher
from training.data.class_sets import class_set
from training.errors import TrainingError
from training.recipe import Recipe, load_recipe
from training.run_folder import RECIPE, RESULT, load_model, read_json, weights_file
from training.teachers.spec import MemberSpec, TeacherSpec


def checked_recipe(spec: CompressRecipe, folder: Path) -> Recipe:
    """The recipe to train on with, once the steps that did not end yet in `folder` look as if they could.

    Raises:
        TrainingError: an engine or a teacher is missing, data or a taken run are of other classes, or a step
            asks for what cannot be done.
    """
    problems = engine_problems(spec.device)
    if problem := problems.get(spec.engine, "there is no such engine"):
        known = ", ".join(name for name, why in problems.items() if why is None) or "none"
        raise TrainingError(
            f"engine: '{spec.engine}' is not available on {spec.device} ({problem}); available: {known}"
        )
    try:
        recipe = base_recipe(spec)
    except ValidationError as error:
        raise TrainingError(
            f"the recipe of {spec.run}, changed: {describe_validation_error(error)}"
        ) from error
    own, model = load_model(spec.run)
    if not _same_classes(own, recipe):
        raise TrainingError(
            f"data.class_set: '{recipe.data.class_set}' has other classes than {spec.run} was trained on, "
            f"which are those of '{own.data.class_set}': write `class_set: {own.data.class_set}` there"
        )
    layers = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    left = spec.steps[len(done_steps(spec, folder)) :]
    if recipe.teacher is not None and any(uses_teacher(step) for step in left):
        _require_teacher(recipe.teacher)
    for step in left:
        if isinstance(step, TakeStep):
            _require_same_network(step.run, recipe)
        if isinstance(step, ChannelStep):
            require_importance(spec.run, step, recipe.data.size)
        if (int8 := outcome(step, spec.run, spec.run).int8) is not None:
            matching(layers, int8.float_layers)
        if isinstance(step, TrainingStep):
            try:
                training_recipe(step, spec.run, recipe, False)
            except ValidationError as error:
                raise TrainingError(f"step '{step.do}': {describe_validation_error(error)}") from error
    return recipe


def _same_classes(one: Recipe, other: Recipe) -> bool:
    return class_set(one.data.class_set).means_the_same_as(class_set(other.data.class_set))


def _require_teacher(teacher: TeacherSpec) -> None:
    """Of a Hugging Face checkpoint nothing is known before it is loaded."""
    members: dict[str, MemberSpec] = {"teacher": teacher}
    if teacher.ensemble is not None:
        members = {f"teacher.ensemble.{index}": member for index, member in enumerate(teacher.ensemble)}
    for place, member in members.items():
        if member.run is None:
            continue
        try:
            load_recipe(member.run / RECIPE)
            weights_file(member.run)
            read_json(member.run, RESULT)
        except TrainingError as error:
            raise TrainingError(
                f"{place}.run: {member.run} cannot teach ({error}); a `teacher` section in the compress "
                "recipe takes the place of the start's"
            ) from error


def _require_same_network(run: Path, recipe: Recipe) -> None:
    own, _ = load_model(run)
    if other := recipe.model.other_network(own.model):
        raise TrainingError(
            f"step 'take': {run} is another network ({', '.join(other)}); it may have fewer channels than "
            "the start, but must else be alike"
        )
    if not _same_classes(own, recipe):
        raise TrainingError(
            f"step 'take': {run} was trained on the classes of '{own.data.class_set}', the start on those of "
            f"'{recipe.data.class_set}': take a run of the start's classes"
        )
