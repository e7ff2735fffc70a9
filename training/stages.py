"""A recipe's `stages:` list, and how each stage becomes a plain recipe of its own.

stages:
  - {name: assistant, epochs: 60, model: {encoder: efficientnet_lite1}}
  - {name: coarse, epochs: 80, model: {}, teacher: assistant, augment: {crop: [160, 208]}}
  - {name: fine, epochs: 40, lr: 3.0e-4, distillation: [{name: kl, temperature: 1.0}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from distill_perception.strict import StrictModel, did_you_mean

STAGES = "stages"
NO_TEACHER = "none"
_SEED_STEP = 1000  # stages see frames in orders of their own, also beside runs of neighbouring seeds


class StageSpec(StrictModel):
    """What a stage does otherwise than the recipe says; a section's keys replace the recipe's one by one.

    A stage goes on with the network and the averaged weights of the stage before, with a fresh optimizer; one
    with `model` starts a network of its own (`{}`: the recipe's). So an assistant is a stage with a model and
    without a teacher of its own, and its student is one with `teacher: assistant` (Mirzadeh et al. 2020,
    https://arxiv.org/abs/1902.03393).
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="also names the stage's folder")
    epochs: int = Field(ge=1, description="passes over the training frames")
    lr: float | None = Field(None, gt=0, description="learning rate; the recipe's if left out")
    optimizer: dict[str, Any] = Field({}, description="other keys of the recipe's optimizer section")
    augment: dict[str, Any] = Field({}, description="keys of data.augment: crop for progressive resolution")
    loss: dict[str, Any] = Field({}, description="keys of the losses on labels")
    distillation: list[dict[str, Any]] | None = Field(None, description="replaces the recipe's list")
    teacher: str | dict[str, Any] | None = Field(
        None,
        description="an earlier stage's name, a teacher section (`stage:` may stand for `run:`), or the "
        "word `none`: labels alone; the recipe's if left out",
    )
    model: dict[str, Any] | None = Field(
        None,
        description="start a new network, these keys over the recipe's (`{}`: just the recipe's); if left "
        "out, the network of the stage before goes on",
    )


def plain_recipes(
    recipe: dict[str, Any], stages: Sequence[StageSpec], folder: Path
) -> list[tuple[str, dict[str, Any]]]:
    """Each stage's name and recipe without stages, not validated yet.

    Args:
        recipe: the whole recipe as plain values.
        folder: the run folder, where earlier stages lie under `stages/`.

    Raises:
        ValueError: two stages have one name, or a teacher is no earlier stage.
    """
    base = {key: value for key, value in recipe.items() if key != STAGES}
    model = base["model"]
    found: list[tuple[str, dict[str, Any]]] = []
    for index, stage in enumerate(stages):
        earlier = [name for name, _ in found]
        if stage.name in (*earlier, NO_TEACHER):
            raise ValueError(f"stage '{stage.name}': the name is taken, give it another")
        if stage.model is not None:
            model = {**base["model"], **stage.model}
        elif earlier:
            model = {**model, "init": str(stage_folder(folder, earlier[-1]))}
        changes = {"epochs": stage.epochs} | ({} if stage.lr is None else {"lr": stage.lr})
        plain = {
            **base,
            "name": f"{base['name']}_{stage.name}",
            "seed": base["seed"] + _SEED_STEP * index,
            "model": model,
            "data": {**base["data"], "augment": {**base["data"]["augment"], **stage.augment}},
            "loss": {**base["loss"], **stage.loss},
            "optimizer": {**base["optimizer"], **stage.optimizer, **changes},
        }
        if stage.distillation is not None:
            plain["distillation"] = stage.distillation
        if stage.teacher == NO_TEACHER:
            plain |= {"teacher": None, "distillation": []}
        elif stage.teacher is not None:
            teacher = {"stage": stage.teacher} if isinstance(stage.teacher, str) else stage.teacher
            plain["teacher"] = _with_runs(teacher, earlier, folder, stage.name)
        found.append((stage.name, plain))
    return found


def stage_folder(folder: Path, name: str) -> Path:
    """Where a stage of the run in `folder` lies."""
    return folder / STAGES / name


def _with_runs(teacher: dict[str, Any], earlier: list[str], folder: Path, where: str) -> dict[str, Any]:
    """The section with `run: FOLDER` in place of `stage: NAME`, within ensembles too."""
    found = dict(teacher)
    if isinstance(found.get("ensemble"), list):
        found["ensemble"] = [
            _with_runs(member, earlier, folder, where) if isinstance(member, dict) else member
            for member in found["ensemble"]
        ]
    if "stage" not in found:
        return found
    name = found.pop("stage")
    if name not in earlier:
        hint = did_you_mean(name, earlier, "earlier stages")
        raise ValueError(f"stage '{where}': teacher '{name}' is no earlier stage ({hint})")
    return {**found, "run": str(stage_folder(folder, name))}
