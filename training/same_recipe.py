"""A run goes on with the recipe that it was started with, or its result would be nobody's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.recipe import Recipe, load_recipe
from training.run_folder import LAST, RESULT, recipe_file

EPOCHS = "optimizer.epochs"
# The same frames in the same order, whatever they say; and `auto` is another precision on another processor.
_HOW_IT_IS_DONE = ("data.workers", "data.cache", "optimizer.precision")


def refuse_other_recipe(folder: Path, recipe: Recipe) -> None:
    """Stop before a run that was started with another recipe is gone on with, or passes for this one's.

    More epochs may be asked for, frames read in another way, and another precision. Keys that the run's
    recipe does not name yet have their defaults.

    Raises:
        TrainingError: names the keys that differ, and what to do.
    """
    path = recipe_file(folder)
    trained = (folder / RESULT).is_file() or any(folder.rglob(LAST))
    if not trained or not path.is_file():
        return
    before = load_recipe(path)
    changed = _changed(before, recipe)
    if recipe.optimizer.epochs > before.optimizer.epochs:
        changed = [key for key in changed if key != EPOCHS]
    if changed:
        raise TrainingError(
            f"{folder} holds a run of another recipe, which differs in {', '.join(changed)}: choose another "
            f"--out, delete {folder} to train anew, or go on with the recipe in {path}"
        )


def is_other_recipe(folder: Path, recipe: Recipe) -> bool:
    """Whether a run was begun in `folder` with another recipe, of another number of epochs for instance."""
    path = recipe_file(folder)
    return path.is_file() and bool(_changed(load_recipe(path), recipe))


def _changed(before: Recipe, now: Recipe) -> list[str]:
    return [key for key in _differences(before.model_dump(), now.model_dump()) if not _may_change(key)]


def _may_change(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _HOW_IT_IS_DONE)


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """Dotted names of what differs, as deep as both have the same form."""
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = {str(key): (before.get(key), now.get(key)) for key in [*before, *(now.keys() - before)]}
    elif isinstance(before, list | tuple) and isinstance(now, list | tuple) and len(before) == len(now):
        pairs = {str(index): pair for index, pair in enumerate(zip(before, now, strict=True))}
    else:
        if _plain(before) != _plain(now):
            yield where
        return
    for key, (one, other) in pairs.items():
        yield from _differences(one, other, f"{where}.{key}" if where else key)


def _plain(value: Any) -> Any:
    """A path says the same whether it is written from here or from the root."""
    return os.path.abspath(value) if isinstance(value, Path) else value
