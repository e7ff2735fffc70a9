"""Draws a run's curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from training.run_log import read_rows


def read_log(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """metrics.csv of a run as {metric: [(step, value), ...]}."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in read_rows(folder):
        for key, value in row.items():
            if key not in ("step", "epoch"):
                curves.setdefault(key, []).append((int(row["step"]), value))
    return curves


def plot_curves(folder: Path, marks: Sequence[int] = ()) -> Path:
    """Losses and mIoU over the steps, as `curves.png` in the run folder; lines at the steps `marks`."""
    curves = read_log(folder)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5))
    for name, points in sorted(curves.items()):
        axis = left if name.startswith("loss/") else right if name.startswith("miou/") else None
        if axis is not None:
            axis.plot(*zip(*points, strict=True), label=name)
    for axis, title in ((left, "loss"), (right, "validation mIoU")):
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
        for step in marks:
            axis.axvline(step, color="0.6", linestyle="--")
        if axis.lines:
            axis.legend()
    path = folder / "curves.png"
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
