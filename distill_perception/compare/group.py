"""Runs that differ only in their seed, as one row."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .model_cost import ModelCost
from .run import Metrics, Run, Teacher
from .seeds import differ_in_seed_only, flatten
from .spread import Spread, spread

_NAMED_DIFFERENCES = 3


@dataclass(frozen=True)
class Group:
    """Runs of one recipe; `name` is unlike every other group's."""

    name: str
    runs: tuple[Run, ...]

    def values(self, metric: str) -> Metrics:
        """A metric by seed; runs of the same seed are averaged, those without one stand for themselves."""
        found: dict[str, list[float]] = {}
        for run in self.runs:
            if metric in run.metrics:
                seed = f"seed {run.seed}" if run.seed is not None else str(run.path)
                found.setdefault(seed, []).append(run.metrics[metric])
        return {seed: statistics.fmean(values) for seed, values in found.items()}

    def spread(self, metric: str) -> Spread | None:
        """Mean and spread of a metric over seeds; None if no run has it."""
        values = self.values(metric)
        return spread(list(values.values())) if values else None

    @property
    def seeds(self) -> int:
        """How many seeds, or runs without one."""
        return len({run.seed if run.seed is not None else str(run.path) for run in self.runs})

    @property
    def teacher(self) -> Teacher | None:
        """The runs' teacher; where each seed had its own, the mean of their metrics."""
        heard = {(run.teacher.name, run.teacher.place): run.teacher for run in self.runs if run.teacher}
        teachers = list(heard.values())
        if len(teachers) < 2:
            return teachers[0] if teachers else None
        same = len({item.name for item in teachers}) == 1
        name = teachers[0].name if same else f"{len(teachers)} teachers"
        common = [key for key in teachers[0].metrics if all(key in item.metrics for item in teachers)]
        return Teacher(
            name, {key: statistics.fmean(item.metrics[key] for item in teachers) for key in common}
        )

    @property
    def cost(self) -> ModelCost:
        """What the network costs: size of the first run that says it, latency as the mean of the runs'."""
        costs = [run.cost for run in self.runs]
        engines = dict.fromkeys(engine for cost in costs for engine in cost.latency_ms)
        return ModelCost(
            parameters=next((cost.parameters for cost in costs if cost.parameters is not None), None),
            macs=next((cost.macs for cost in costs if cost.macs is not None), None),
            latency_ms={
                engine: statistics.fmean(
                    cost.latency_ms[engine] for cost in costs if engine in cost.latency_ms
                )
                for engine in engines
            },
        )


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Group runs that differ only in their seed, in order of appearance."""
    groups: list[list[Run]] = []
    for run in runs:
        mine = next((group for group in groups if all(_alike(run, other) for other in group)), None)
        if mine is None:
            groups.append([run])
        else:
            mine.append(run)
    return [Group(name, tuple(members)) for name, members in zip(_names(groups), groups, strict=True)]


def _alike(run: Run, other: Run) -> bool:
    if run.key != other.key or run.recipe is None or other.recipe is None:
        return run.key == other.key
    return differ_in_seed_only(run.recipe, other.recipe)


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Names of the groups; where recipes share one, what sets them apart is added: `kl [loss.kl=2]`."""
    plain = [members[0].name for members in groups]
    names = []
    for name, members in zip(plain, groups, strict=True):
        rivals = [other for other, title in zip(groups, plain, strict=True) if title == name]
        names.append(name if len(rivals) == 1 else f"{name} [{_what_differs(members, rivals)}]")
    return [name if names.count(name) == 1 else f"{name} {groups[i][0].path}" for i, name in enumerate(names)]


def _what_differs(members: Sequence[Run], rivals: Sequence[Sequence[Run]]) -> str:
    recipes = [flatten(other[0].recipe) for other in rivals if other[0].recipe is not None]
    if members[0].recipe is None or len(recipes) < len(rivals):
        return str(members[0].path)
    mine = flatten(members[0].recipe)
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    # An earlier stage of its own is what each goes on with.
    differing = [
        key
        for key in keys
        if len({repr(recipe.get(key)) for recipe in recipes}) > 1
        and not all("/stages/" in str(recipe.get(key)) for recipe in recipes)
    ]
    parts = [f"{key}={_short(mine.get(key))}" for key in differing[:_NAMED_DIFFERENCES]]
    return ", ".join(parts + ["..."] * (len(differing) > _NAMED_DIFFERENCES))


def _short(value: Any) -> str:
    return "none" if value is None else str(value)
