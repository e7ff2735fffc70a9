"""A replay's results as a `Run`: accuracy and latency of metrics.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import CompareError
from .files import read_mapping
from .model_cost import ModelCost
from .run import Metrics, Run, finite

REPLAY = "metrics.json"
_SCORES = ("miou", "pixel_accuracy", "map50", "map")
_VERSION = re.compile(r"^(\w+) [\w.+-]+")  # "openvino 2026.4.1, cpu, fp32" -> "openvino, cpu, fp32"


def is_replay(folder: Path) -> bool:
    """Whether a replay wrote its results there."""
    return (folder / REPLAY).is_file()


def read_replay(folder: Path) -> Run:
    """Read what a replay measured; its latency is the engine's, the median of the stage "inference".

    Raises:
        CompareError: the replay was stopped early, or its file is damaged.
    """
    record = read_mapping(folder / REPLAY)
    if "frames" not in record or "bundle" not in record:
        raise CompareError(f"{folder / REPLAY}: is not of a replay: it has no 'frames' and 'bundle'")
    if not record.get("complete", True):
        raise CompareError("unfinished: the replay was stopped early; replay the bag to its end")
    engine = _VERSION.sub(r"\1", str(record.get("engine", "")))
    name = f"{record['bundle']} replayed ({engine})"
    same = ("bundle", "bundle_sha256", "bag", "engine", "mode", "rate", "machine", "score_threshold")
    key = [record.get(part) for part in same]
    return Run(
        path=folder,
        kind="replay",
        name=name,
        key="replay:" + repr(key),
        seed=None,
        metrics=_metrics(record),
        cost=ModelCost(latency_ms=_latency(record, engine)),
        origin={part: record[part] for part in ("date", "git_hash", "machine", "bag") if record.get(part)},
    )


def _metrics(record: dict[str, Any]) -> Metrics:
    metrics = finite({name: record.get(name) for name in _SCORES})
    for head in ("iou", "ap"):
        by_class = record.get(head)
        if isinstance(by_class, dict):
            metrics |= finite({f"{head}/{name}": value for name, value in by_class.items()})
    return metrics


def _latency(record: dict[str, Any], engine: str) -> dict[str, float]:
    stages = record.get("latency_ms")
    stage = stages.get("inference") if isinstance(stages, dict) else None
    median = stage.get("p50") if isinstance(stage, dict) else None
    return {engine: float(median)} if isinstance(median, int | float) and median > 0 else {}
