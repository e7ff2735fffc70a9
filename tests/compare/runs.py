"""Run folders as trainings and replays write them, with numbers of our choosing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def write_run(
    folder: Path,
    seed: int,
    metrics: dict[str, float | None] | None,
    *,
    name: str | None = None,
    losses: list[dict[str, Any]] | None = None,
    teacher: object = None,
    cost: dict[str, Any] | None = None,
    **recipe: Any,
) -> Path:
    """A run folder; unfinished if `metrics` is None."""
    folder.mkdir(parents=True)
    full = {
        "name": name or folder.name,
        "seed": seed,
        "distillation": losses or [],
        "teacher": teacher,
        **recipe,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(full))
    (folder / "provenance.json").write_text(json.dumps({"seed": seed, "date": "2026-11-21"}))
    if metrics is not None:
        (folder / "result.json").write_text(json.dumps({"epochs": 2, "metrics": metrics}))
    if cost is not None:
        (folder / "model.json").write_text(json.dumps(cost))
    return folder


def write_seeds(root: Path, name: str, miou: list[float], **options: Any) -> list[Path]:
    """Runs `name_s1`, `name_s2`, ... with these mIoUs."""
    return [
        write_run(root / f"{name}_s{seed}", seed, {"miou/camvid": value, "iou/camvid/sky": 0.9}, **options)
        for seed, value in enumerate(miou, start=1)
    ]


def write_staged(root: Path, name: str, miou: list[float], **options: Any) -> list[Path]:
    """As `write_seeds`, of runs whose last stage goes on with the one before."""
    return [
        write_run(
            root / f"{name}_s{seed}",
            seed,
            {"miou/camvid": value},
            model={"init": str(root / f"{name}_s{seed}" / "stages" / "coarse")},
            **{key: item(seed) if callable(item) else item for key, item in options.items()},
        )
        for seed, value in enumerate(miou, start=1)
    ]


def write_replay(folder: Path, **changes: Any) -> Path:
    """A replay's results."""
    record = {
        "complete": True,
        "frames": 10,
        "miou": 0.7,
        "iou": {"sky": 0.9},
        "map50": None,
        "latency_ms": {"inference": {"p50": 11.0, "p95": 12.0}, "total": {"p50": 13.0}},
        "bundle": "lite0",
        "bundle_sha256": "abc",
        "engine": "openvino 2026.4.1, cpu, fp32",
        "precision": "fp32",
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(record | changes))
    return folder
