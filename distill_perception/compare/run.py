"""One thing to compare: a finished training, a bundle or a replay."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .model_cost import ModelCost

Kind = Literal["training", "bundle", "replay"]
Metrics = dict[str, float]

CLASS_HEADS = ("iou", "bf", "ap")
"""First words of scores by class: iou/<class> or iou/<data set>/<class>."""


@dataclass(frozen=True)
class Teacher:
    """The network a run learnt from.

    Attributes:
        metrics: empty where its run is not at hand.
        place: where the recipe says it lies; others there may have the same name.
    """

    name: str
    metrics: Metrics = field(default_factory=dict)
    place: str = ""


@dataclass(frozen=True)
class Run:
    """A run and what it recorded.

    Attributes:
        name: of its group, that is, without the seed.
        key: equal for runs that differ in nothing but the seed, if their recipes do.
        metrics: finite numbers by name.
        recipe: the training's recipe; None where there is none.
    """

    path: Path
    kind: Kind
    name: str
    key: str
    seed: int | None
    metrics: Metrics
    recipe: dict[str, Any] | None = None
    teacher: Teacher | None = None
    cost: ModelCost = field(default_factory=ModelCost)
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A folder that was left out, and why."""

    path: Path
    reason: str


def finite(values: dict[str, Any]) -> Metrics:
    """The numbers among recorded values: what could not be measured is null there."""
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def is_by_class(metric: str) -> bool:
    """Whether a metric's name is that of one class's score."""
    return "/" in metric and metric.partition("/")[0] in CLASS_HEADS
