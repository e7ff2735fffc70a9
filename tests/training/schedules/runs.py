"""Runs of tiny recipes and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from tests.support.tiny_training import tiny_recipe
from training.models.spec import ModelSpec
from training.recipe import OptimizerSpec, Recipe
from training.run_log import Row, read_rows

LITE = {"pretrained": False, "decoder": {"name": "fpn", "width": 16}}


def small(folders: tuple[Path, Path], epochs: int, workers: int = 0, **changes: Any) -> Recipe:
    """A recipe that uses whatever a resume could lose: dropout, augmentation, warm-up, EMA."""
    optimizer = {"epochs": epochs, "batch": 4, "warmup_steps": 3, "precision": "32", "ema": 0.9}
    optimizer |= changes.pop("optimizer", {})
    changes = {"model": ModelSpec.model_validate(LITE), **changes}
    recipe = tiny_recipe(*folders, optimizer=OptimizerSpec.model_validate(optimizer), **changes)
    data = recipe.data.model_copy(update={"workers": workers})
    return recipe.model_copy(update={"data": data})


def save(recipe: Recipe, path: Path) -> Path:
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "training", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=300)


def kill_after(recipe: Path, out: Path, wanted: Path, *options: object) -> None:
    """Start a training and kill it (SIGKILL), all its processes, as soon as the file `wanted` is there."""
    line = command("train", recipe, "--out", out, *options)
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(line, stdout=quiet, stderr=quiet, start_new_session=True)
    deadline = time.monotonic() + 300
    while not wanted.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    ended = process.poll()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert ended is None, "the training ended before it could be killed"
    assert wanted.exists()


def weights(folder: Path) -> dict[str, Tensor]:
    """What the run's last checkpoint holds: averaged weights."""
    path = folder / "checkpoints" / "last.ckpt"
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return state


def curve(folder: Path) -> list[Row]:
    return sorted(read_rows(folder), key=lambda row: (row["step"], sorted(row)))


def assert_same_run(one: Path, other: Path, atol: float) -> None:
    """Equal weights and equal curves."""
    torch.testing.assert_close(weights(one), weights(other), atol=atol, rtol=atol)
    curves = curve(one), curve(other)
    assert len(curves[0]) == len(curves[1]) > 0
    for first, second in zip(*curves, strict=True):
        assert first.keys() == second.keys()
        for key in first:
            torch.testing.assert_close(first[key], second[key], atol=atol, rtol=atol, equal_nan=True)
