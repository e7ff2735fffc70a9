"""Draws a run's curves."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def read_log(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """metrics.csv of a run as {metric: [(step, value), ...]}."""
    curves: dict[str, list[tuple[int, float]]] = {}
    with (folder / "log" / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                if value and key not in ("step", "epoch"):
                    curves.setdefault(key, []).append((int(row["step"]), float(value)))
    return curves


def plot_curves(folder: Path) -> Path:
    """Losses and mIoU over the steps, as `curves.png` in the run folder."""
    curves = read_log(folder)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5))
    for name, points in sorted(curves.items()):
        axis = left if name.startswith("loss/") else right if name.startswith("miou/") else None
        if axis is not None:
            axis.plot(*zip(*points, strict=True), label=name)
    for axis, title in ((left, "loss"), (right, "validation mIoU")):
        axis.set(title=title, xlabel="step")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend()
    path = folder / "curves.png"
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
