"""The report's charts: numbers in, inline SVG out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...manifest import ClassInfo
from ..evaluation import ScoredFrame
from .svg import canvas, element, line, nice_ticks, rect, text


def _css(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def class_bars(
    classes: Sequence[ClassInfo], values: Mapping[str, float], mean: float | None, name: str
) -> str:
    """One horizontal bar for each class, 0 to 1, with the mean as a line; absent classes have a dash."""
    row, left, right, top = 26, 128, 44, 8
    width, height = 560, top + row * len(classes) + 24
    span = width - left - right
    parts = [
        line(left + span * tick, top, left + span * tick, height - 22, "grid")
        for tick in (0.25, 0.5, 0.75, 1)
    ]
    parts += [text(left + span * t, height - 6, f"{t:g}", "tick", "middle") for t in (0, 0.25, 0.5, 0.75, 1)]
    for index, item in enumerate(classes):
        y = top + row * index
        value = values.get(item.name)
        parts.append(rect(2, y + 7, 12, 12, "swatch", fill=_css(item.color), rx=3))
        parts.append(text(22, y + 17, item.name.replace("_", " "), "label"))
        parts.append(rect(left, y + 4, span, row - 8, "track", rx=4))
        if value is None:
            parts.append(text(left + 8, y + 17, "does not occur", "faint"))
            continue
        hint = f"{item.name}: {name} {value:.4f}"
        parts.append(rect(left, y + 4, span * value, row - 8, "bar", hint, fill=_css(item.color), rx=4))
        parts.append(text(width - 2, y + 17, f"{value:.3f}", "value", "end"))
    if mean is not None:
        x = left + span * mean
        parts += [
            line(x, top - 4, x, height - 22, "mean"),
            text(x + 4, top + 2, f"mean {mean:.3f}", "meantext"),
        ]
    return canvas(width, height, "".join(parts), f"{name} by class")


def confusion(classes: Sequence[ClassInfo], matrix: np.ndarray) -> str:
    """Confusion matrix int64 [C,C] by row: of the pixels labelled as row, the share perceived as column."""
    totals = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, totals, out=np.zeros(matrix.shape), where=totals > 0)
    count, left, top = len(classes), 112, 92
    cell = max(18.0, min(40.0, 440 / count))
    width, height = left + cell * count + 44, top + cell * count + 26
    parts = []
    for row, labelled in enumerate(classes):
        y = top + row * cell
        parts.append(text(left - 8, y + cell / 2 + 4, labelled.name.replace("_", " "), "label", "end"))
        for column, seen in enumerate(classes):
            x, value = left + column * cell, share[row, column]
            hint = (
                f"labelled {labelled.name}, perceived {seen.name}: {value:.1%} ({matrix[row, column]} pixels)"
            )
            kind = "hit" if row == column else "miss"
            parts.append(rect(x, y, cell - 2, cell - 2, "cell", rx=3))
            strength = float(value**0.6)  # small confusions must be visible
            parts.append(rect(x, y, cell - 2, cell - 2, kind, hint, rx=3, fill_opacity=strength))
            if value >= 0.01 and cell >= 26:
                ink = "celltext on" if strength > 0.55 else "celltext"
                parts.append(text(x + cell / 2 - 1, y + cell / 2 + 4, f"{value * 100:.0f}", ink, "middle"))
    for column, seen in enumerate(classes):
        x = left + column * cell + cell / 2
        words = text(0, 0, seen.name.replace("_", " "), "label")
        parts.append(element("g", words, transform=f"translate({x:.1f} {top - 8}) rotate(-45)"))
    note = "rows: labelled, columns: perceived, in % of the row"
    parts.append(text(left, height - 8, note, "tick"))
    return canvas(width, height, "".join(parts), "confusion matrix")


def histogram(samples: np.ndarray, p50: float, p95: float) -> str:
    """Distribution of milliseconds float [n], from 0 to its 99.5th percentile, with median and p95 marked."""
    width, height, base = 360, 54, 40
    ticks = nice_ticks(max(float(np.percentile(samples, 99.5)) * 1.05, p95 * 1.1, 1e-3), 3)
    end = ticks[-1]
    counts, edges = np.histogram(np.minimum(samples, end), bins=60, range=(0.0, end))
    peak = max(1, int(counts.max()))
    step = width / 60
    parts = [line(0, base, width, base, "axis")]
    for index, count in enumerate(counts):
        if count:
            tall = max(1.5, (base - 4) * count / peak)
            hint = f"{edges[index]:.2f} to {edges[index + 1]:.2f} ms: {count} frames"
            parts.append(rect(index * step + 0.5, base - tall, step - 1, tall, "hist", hint, rx=1))
    for value, kind in ((p50, "p50"), (p95, "p95")):
        parts.append(line(width * value / end, 2, width * value / end, base, kind))
    for tick in ticks:
        anchor = "start" if tick == 0 else "end" if tick == end else "middle"
        parts.append(text(width * tick / end, height - 2, f"{tick:g}", "tick", anchor))
    return canvas(width, height, "".join(parts), "latency histogram in milliseconds")


def stage_shares(means: Mapping[str, float]) -> str:
    """One bar that shows where the mean time of a frame goes."""
    width, height, total = 1120, 46, sum(means.values())
    parts, x = [], 0.0
    for index, (stage, value) in enumerate(means.items()):
        wide = width * value / total
        hint = f"{stage}: {value:.2f} ms of {total:.2f} ms"
        parts.append(rect(x, 2, wide - 2, 24, f"stage s{index}", hint, rx=4))
        if wide > 90:
            parts.append(text(x + 8, 19, f"{stage} {value:.1f} ms", "stagetext"))
        elif wide > 26:
            near_edge = x + 80 > width
            place, anchor = (width, "end") if near_edge else (x + 2, "start")
            parts.append(text(place, 41, stage, "tick", anchor))
        x += wide
    return canvas(width, height, "".join(parts), "mean time by stage")


def timeline(frames: Sequence[ScoredFrame]) -> str:
    """End-to-end latency of every frame over the replay's seconds; dropped frames as red marks below."""
    points = [(f.result.sent_s, f.result.timings_ms.get("end_to_end")) for f in frames if f.result.answered]
    known = [value for _, value in points if value is not None]
    return _over_time(
        [(x, y) for x, y in points if y is not None],
        [f.result.sent_s for f in frames if not f.result.answered],
        nice_ticks(max(known, default=1.0), 3),
        max((f.result.sent_s for f in frames), default=1.0),
        "ms",
    )


def quality_line(frames: Sequence[ScoredFrame]) -> str:
    """Mean IoU of every labelled frame over the replay's seconds."""
    points = [(f.result.sent_s, f.miou) for f in frames if f.miou is not None]
    end = max((f.result.sent_s for f in frames), default=1.0)
    return _over_time(points, [], [0.0, 0.25, 0.5, 0.75, 1.0], end, "IoU")


def _over_time(
    points: Sequence[tuple[float, float]],
    drops: Sequence[float],
    ticks: Sequence[float],
    end_s: float,
    unit: str,
) -> str:
    width, height, left, right, top, bottom = 1120, 190, 60, 8, 12, 44
    span, tall = width - left - right, height - top - bottom
    end_s = end_s or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + span * x / end_s, top + tall * (1 - y / ticks[-1])

    parts = []
    for tick in ticks:
        _, y = place(0, tick)
        name = f"{tick:g} {unit}" if tick == ticks[-1] else f"{tick:g}"
        parts += [line(left, y, width - right, y, "grid"), text(left - 8, y + 4, name, "tick", "end")]
    for tick in (t for t in nice_ticks(end_s, 8) if t <= end_s):
        parts.append(
            text(place(tick, 0)[0], height - 6, f"{tick:g} s", "tick", "middle" if tick else "start")
        )
    if len(points) > 1:  # one line through all: gaps show by their missing dots
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(element("polyline", points=path, class_="series"))
    if len(points) <= 400:
        dots = (
            element("circle", cx=x, cy=y, r=2.2, class_="dot") for x, y in (place(*point) for point in points)
        )
        parts += dots
    for moment in drops:
        x, _ = place(moment, 0)
        parts.append(rect(x - 1, top + tall + 6, 2, 12, "drop", f"dropped at {moment:.2f} s"))
    if unit == "ms":
        parts.append(text(left - 8, top + tall + 16, "drops", "tick", "end"))
        if not drops:
            parts.append(text(left + 4, top + tall + 16, "none", "faint"))
    return canvas(width, height, "".join(parts), f"{unit} over time")
