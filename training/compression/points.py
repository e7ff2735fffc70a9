"""What a compression made, step by step: one point for each, its costs and scores, and which one to take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from distill_perception.whole_file import write_whole
from training.errors import TrainingError
from training.export.gate import MAIN_SCORES, Budget

POINT = "point.json"
SAME_SPEED = 1.03  # medians that differ by less do so by chance, from one measurement to the next


@dataclass(frozen=True)
class Point:
    """A network that can be deployed.

    Attributes:
        name: of the step's folder. precision: of the bundle in it.
        size_bytes: of the file that would be shipped.
        parameters: trainable values; zeros: share of zeros among the weights of convolutions.
        macs: multiply-accumulates a frame.
        scores: miou, map50 and map, 0..1, on the engine that decides; what has no label is left out.
    """

    name: str
    precision: str
    size_bytes: int
    parameters: int
    zeros: float
    macs: int
    scores: dict[str, float]


@dataclass(frozen=True)
class Measured:
    """A point and its latency in milliseconds by engine, measured in turns with all the others."""

    point: Point
    latency_ms: dict[str, float]


def write_point(folder: Path, point: Point) -> None:
    """Into a step's folder, as its last act: a step that has a point is done."""
    write_whole(folder / POINT, json.dumps(asdict(point), indent=2) + "\n")


def read_point(folder: Path) -> Point | None:
    """The point of a finished step, None of one that is not."""
    path = folder / POINT
    return Point(**json.loads(path.read_text())) if path.is_file() else None


def drop_of(full: Mapping[str, float], found: Mapping[str, float]) -> float:
    """The larger of the two tasks' losses against the start, 0..1."""
    return max((full[name] - found[name] for name in MAIN_SCORES if name in full), default=0.0)


def choose(
    measured: Sequence[Measured],
    engine: str,
    budget: Budget,
    latency_ms: float | None,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Measured:
    """The best point within both limits: of least loss where a latency is wanted, else the fastest. Of
    those that are as fast as that (`SAME_SPEED`), the one of least loss.

    Args:
        measured: the first one is the start, against which scores are lost. engine: whose latency decides.
        refused: points that the gate let not pass, by name, and why.

    Raises:
        TrainingError: no point keeps both limits; says which come nearest, and what was refused.
    """
    full = measured[0].point.scores
    others = "".join(f"; {name} was refused: {why}" for name, why in refused.items())
    rows = [
        (drop_of(full, item.point.scores), item.latency_ms[engine], item)
        for item in measured
        if item.point.name not in refused
    ]
    if not rows:
        raise TrainingError(f"the gate refused every step{others}")
    within = [
        row
        for row in rows
        if (latency_ms is None or row[1] <= latency_ms)
        and all(
            full[name] - row[2].point.scores[name] <= budget.of(name) for name in MAIN_SCORES if name in full
        )
    ]
    if within:
        if latency_ms is None:
            fastest = min(row[1] for row in within)
            within = [row for row in within if row[1] <= fastest * SAME_SPEED]
        return min(within, key=lambda row: row[:2])[2]
    most = min(rows, key=lambda row: row[:2] if latency_ms is None or row[1] <= latency_ms else (1e9, row[1]))
    raise TrainingError(
        f"no step loses at most {most_lost(budget)}"
        + ("" if latency_ms is None else f" and takes at most {latency_ms:g} ms on {engine}")
        + f"; nearest is {most[2].point.name}: {most[0] * 100:.2f} points, {most[1]:.1f} ms{others}. "
        "Raise --max-miou-drop, --max-map50-drop or --latency-ms, or add steps (finetune longer, prune less, "
        "qat)"
    )


def most_lost(budget: Budget) -> str:
    """A budget in words."""
    miou, map50 = (f"{budget.of(name) * 100:g}" for name in MAIN_SCORES)
    return (
        f"{miou} points of mIoU and of mAP50"
        if miou == map50
        else f"{miou} points of mIoU and {map50} of mAP50"
    )


def pareto(measured: Sequence[Measured], engine: str) -> list[Measured]:
    """Points that none beats by less loss in the same time, or by no more loss in less; the fastest first."""
    full = measured[0].point.scores
    rows = [(item.latency_ms[engine], drop_of(full, item.point.scores), item) for item in measured]

    def is_beaten(ms: float, drop: float) -> bool:
        return any(
            (less < drop and time <= ms * SAME_SPEED) or (less <= drop and time * SAME_SPEED < ms)
            for time, less, _ in rows
        )

    return [item for ms, drop, item in sorted(rows, key=lambda row: row[:2]) if not is_beaten(ms, drop)]
