"""A training's run folder as a `Run`: recipe.yaml, provenance.json, result.json, model.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_perception.old_recipes import with_decoder

from .errors import CompareError
from .files import read_mapping
from .model_cost import read_model_cost
from .run import Metrics, Run, Teacher, finite
from .seeds import without_seed

RECIPE, PROVENANCE, RESULT = "recipe.yaml", "provenance.json", "result.json"
_ORIGIN = ("date", "git_hash", "machine", "teacher_spec")


def is_training_run(folder: Path) -> bool:
    """Whether a training was started there."""
    return any((folder / name).is_file() for name in (RECIPE, PROVENANCE, RESULT))


def read_training_run(folder: Path) -> Run:
    """Read a finished training.

    Raises:
        CompareError: the training did not end, or one of its files is damaged.
    """
    if not (folder / RESULT).is_file():
        raise CompareError(
            f"unfinished: it has no {RESULT}; let it end or `distill-perception-train train ... --resume` it"
        )
    result = read_mapping(folder / RESULT)
    metrics = _metrics(result, folder)
    if not metrics:
        raise CompareError(f"{folder / RESULT}: holds no metrics")
    recipe = _recipe(folder / RECIPE) if (folder / RECIPE).is_file() else None
    origin = read_mapping(folder / PROVENANCE) if (folder / PROVENANCE).is_file() else {}
    seed = recipe.get("seed") if recipe else origin.get("seed")
    name = recipe.get("name") if recipe else None
    name = without_seed(str(name or folder.resolve().name), seed)
    return Run(
        path=folder,
        kind="training",
        name=name,
        key=f"training:{name if recipe else folder.resolve().parent / name}",
        seed=seed if isinstance(seed, int) else None,
        metrics=metrics,
        recipe=recipe,
        teacher=_teacher(folder, recipe or {}),
        cost=read_model_cost(folder),
        origin={key: origin[key] for key in _ORIGIN if key in origin},
    )


def _recipe(path: Path) -> dict[str, Any]:
    recipe = read_mapping(path)
    model = recipe.get("model")
    return {**recipe, "model": with_decoder(model)} if isinstance(model, dict) else recipe


def _metrics(result: dict[str, Any], folder: Path) -> Metrics:
    values = result.get("metrics") or {}
    if not isinstance(values, dict):
        raise CompareError(f"{folder / RESULT}: 'metrics' must hold names and numbers")
    return finite(values)


def _teacher(folder: Path, recipe: dict[str, Any]) -> Teacher | None:
    """The recipe's teacher, with what its own run folder says of it."""
    spec = recipe.get("teacher")
    if not isinstance(spec, dict):
        return None
    run = spec.get("run")
    members = _members(spec)
    name, named = " + ".join(Path(member).name for member in members), " + ".join(members)
    for place in _places(folder, Path(run)) if isinstance(run, str) else ():
        if (place / RESULT).is_file():
            return Teacher(name, _metrics(read_mapping(place / RESULT), place), named)
    return Teacher(name, place=named)


def _members(spec: dict[str, Any]) -> list[str]:
    """The runs and checkpoints that teach together, as the recipe names them."""
    members = spec.get("ensemble")
    if isinstance(members, list):
        return [name for member in members if isinstance(member, dict) for name in _members(member)]
    return [str(spec.get("run") or spec.get("huggingface") or "unnamed")]


def _places(folder: Path, run: Path) -> list[Path]:
    """Where a run that a recipe names may lie: as named, from here or from above `folder`, or beside it."""
    here = folder.resolve()
    return [run, *(above / run for above in here.parents), here.parent / run.name]
