"""Draws accuracy over latency. matplotlib is asked for only here: the vehicle does without."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import CompareError
from .labels import Box, place_labels
from .points import Cloud

SUFFIXES = (".png", ".svg", ".pdf")
LEAST_SPAN = 0.02  # of scores: two points of accuracy, so that a tenth of one does not look large
LOG_FROM = 8.0  # cheapest and dearest network are this many times apart: logarithmic axis
COLOR, BASELINE_COLOR, TEXT_COLOR = "#1f5fa8", "#b3541e", "#333333"
DPI = 150
MARKER = 9.0


def check_figure(path: Path) -> None:
    """Refuse what could not be drawn, before anything is computed.

    Raises:
        CompareError: an unknown file type, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CompareError(f"{path}: figures are written as {', '.join(SUFFIXES)}")
    if find_spec("matplotlib") is None:
        raise CompareError(
            "figures need matplotlib: pip install matplotlib (or 'distill_perception[training]')"
        )


def draw(shown: Cloud, path: Path) -> None:
    """Write the figure; its suffix says how.

    Raises:
        CompareError: there is nothing to draw, or see `check_figure`.
    """
    check_figure(path)
    if not shown.points:
        raise CompareError(f"{path}: nothing to draw, as nothing has a score ({shown.y_title})")
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5), dpi=DPI, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for point in shown.points:
        color = BASELINE_COLOR if point.baseline else COLOR
        axes.errorbar(point.x, point.y, point.sd, fmt="none", ecolor=color, elinewidth=1.2, capsize=3)
        marker = "D" if point.baseline else "o"
        axes.plot(point.x, point.y, marker, color=color, markersize=8, markeredgecolor="white", zorder=4)
    _style(axes, shown)
    canvas.draw()
    _label(axes, shown, canvas.get_renderer())
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "distill_perception"}):  # text stays text
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None  # the same file each time
        figure.savefig(path, bbox_inches="tight", metadata=metadata)


def _style(axes: Any, shown: Cloud) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    costs = [point.x for point in shown.points]
    axes.margins(x=0.12, y=0.12)
    if max(costs) > LOG_FROM * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, 1.4 * max(costs))  # from zero: differences that do not matter must not look large
    low, high = axes.get_ylim()
    if high - low < LEAST_SPAN:
        axes.set_ylim((low + high - LEAST_SPAN) / 2, (low + high + LEAST_SPAN) / 2)
    axes.set_xlabel(shown.x_title, color=TEXT_COLOR)
    axes.set_ylabel(shown.y_title, color=TEXT_COLOR)
    spread = any(point.sd is not None for point in shown.points)
    bars = "bars: sample standard deviation over seeds" if spread else ""
    axes.set_title(bars, loc="left", fontsize=9, color=TEXT_COLOR)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _label(axes: Any, shown: Cloud, renderer: Any) -> None:
    """Write names beside the points, moved apart where they would cover each other or a point."""
    places = [axes.transData.transform((point.x, point.y)) for point in shown.points]
    points = [(float(x), float(y)) for x, y in places]
    texts = [
        axes.annotate(
            point.name + (" (baseline)" if point.baseline else ""),
            xy=(point.x, point.y),
            xytext=(0, 0),
            textcoords="offset pixels",
            fontsize=9,
            color=TEXT_COLOR,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.7, "shrinkB": 4},
        )
        for point in shown.points
    ]
    extents = [text.get_window_extent(renderer) for text in texts]
    sizes = [(float(extent.width), float(extent.height)) for extent in extents]
    frame = Box(axes.bbox.x0, axes.bbox.y0, axes.bbox.x1, axes.bbox.y1)
    offsets = place_labels(points, sizes, frame, MARKER)
    for text, (dx, dy), (_, height) in zip(texts, offsets, sizes, strict=True):
        text.set_position((dx, dy))
        text.arrow_patch.set_visible(abs(dy) > height)  # a line to the point, where the name is not beside it
