"""What the figure shows: a group's accuracy over what its network costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from .comparison import Comparison
from .errors import CompareError
from .group import Group


@dataclass(frozen=True)
class Point:
    """A group: cost `x`, mean `y` of the first metric and its spread."""

    name: str
    x: float
    y: float
    sd: float | None
    baseline: bool


@dataclass(frozen=True)
class Cloud:
    """Points, the axis they share, and the groups that could not be placed."""

    x_title: str
    y_title: str
    points: tuple[Point, ...]
    left_out: tuple[str, ...]


def cloud(comparison: Comparison, engine: str | None = None) -> Cloud:
    """Accuracy over latency, or over multiply-adds where no latency was recorded.

    Args:
        comparison: what to show.
        engine: whose latency, `openvino` or in full `openvino, cpu, fp32`; None: what most groups have.

    Raises:
        CompareError: no group has a cost and a score, or nobody measured that engine.
    """
    title, costs = _costs(comparison, engine)
    points, left_out = [], []
    for group in comparison.groups:
        cost, score = costs.get(group.name), group.spread(comparison.metrics[0])
        if cost is None or score is None:
            left_out.append(group.name)
        else:
            points.append(Point(group.name, cost, score.mean, score.sd, group is comparison.baseline))
    if not points:
        raise CompareError(f"no run has both {comparison.metrics[0]} and {title}: choose another --metric")
    return Cloud(title, comparison.metrics[0], tuple(points), tuple(left_out))


def _costs(comparison: Comparison, engine: str | None) -> tuple[str, dict[str, float]]:
    """The axis' title and each group's cost."""
    groups = comparison.groups
    measured = Counter(name for group in groups for name in group.cost.latency_ms)
    if engine is not None:
        measured = Counter({name: count for name, count in measured.items() if name.startswith(engine)})
    if measured:
        chosen = measured.most_common(1)[0][0]
        return f"latency, ms a frame ({chosen})", _latencies(groups, chosen)
    if engine is not None:
        known = sorted({name for group in groups for name in group.cost.latency_ms})
        raise CompareError(f"no run measured engine '{engine}'; measured: {', '.join(known) or 'none'}")
    macs = {group.name: group.cost.macs / 1e9 for group in groups if group.cost.macs is not None}
    if not macs:
        raise CompareError(
            "a figure needs latency or MACs: no run folder has a model.json with latency_ms or macs, "
            "and no replay is among the runs"
        )
    return "multiply-adds of a frame, G", macs


def _latencies(groups: tuple[Group, ...], engine: str) -> dict[str, float]:
    return {g.name: g.cost.latency_ms[engine] for g in groups if engine in g.cost.latency_ms}
