"""The comparison as a grid of texts, which the terminal and Markdown both show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .comparison import Comparison
from .group import Group
from .spread import Difference, Spread

DELTA = "Δ"


@dataclass(frozen=True)
class Grid:
    """Texts: one header, and rows of as many cells; the first column names the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def split(self, width: int) -> list[Grid]:
        """Grids of no more than `width` characters, as far as their columns allow, each with the rows' names.

        A difference stays beside what it is a difference of.
        """
        columns = list(zip(self.header, *self.rows, strict=True))
        blocks = [[columns[0]]]
        for column, following in zip(columns[1:], [*columns[2:], ("",)], strict=True):
            unit = [column, following] if following[0].startswith(DELTA) else [column]
            torn = column[0].startswith(DELTA)
            if len(blocks[-1]) > 1 and not torn and _width([*blocks[-1], *unit]) > width:
                blocks.append([columns[0]])
            blocks[-1].append(column)
        return [Grid(header, tuple(rows)) for header, *rows in (zip(*b, strict=True) for b in blocks)]


def _width(columns: Sequence[tuple[str, ...]]) -> int:
    """Characters across, with two between columns."""
    return sum(max(map(len, column)) + 2 for column in columns) - 2


def grid(comparison: Comparison) -> Grid:
    """A row for each group: seeds, each metric with its difference, teacher, costs; no empty columns."""
    columns = [column for column in _columns(comparison) if any(column.cells(comparison.groups))]
    header = tuple(column.title for column in columns)
    rows = zip(*(column.cells(comparison.groups) for column in columns), strict=True)
    return Grid(header, tuple(tuple(cell or "-" for cell in row) for row in rows))


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Group], str]

    def cells(self, groups: tuple[Group, ...]) -> list[str]:
        return [self.cell(group) for group in groups]


def _columns(comparison: Comparison) -> list[_Column]:
    first = comparison.metrics[0]
    columns = [_Column("run", lambda group: group.name), _Column("seeds", lambda group: str(group.seeds))]
    columns += _metric_columns(comparison, first)
    columns += [
        _Column("teacher's", lambda group: _teacher(group, first)),
        _Column("of teacher's", lambda group: _share(comparison.share_of_teacher(group))),
    ]
    for metric in comparison.metrics[1:]:
        columns += _metric_columns(comparison, metric)
    columns += [
        _Column("parameters", lambda group: quantity(group.cost.parameters)),
        _Column("MACs", lambda group: quantity(group.cost.macs)),
    ]
    engines = dict.fromkeys(engine for group in comparison.groups for engine in group.cost.latency_ms)
    return columns + [_latency_column(engine) for engine in engines]


def _metric_columns(comparison: Comparison, metric: str) -> list[_Column]:
    def value(group: Group) -> str:
        return spread_text(group.spread(metric), group.seeds)

    def change(group: Group) -> str:
        if group is comparison.baseline:
            return "baseline"
        return difference_text(comparison.difference(group, metric), group.seeds)

    columns = [_Column(metric, value)]
    return columns + ([_Column(f"{DELTA} {metric}", change)] if comparison.baseline else [])


def _latency_column(engine: str) -> _Column:
    def cell(group: Group) -> str:
        latency = group.cost.latency_ms.get(engine)
        return f"{latency:.1f}" if latency is not None else ""

    return _Column(f"ms ({engine})", cell)


def _teacher(group: Group, metric: str) -> str:
    teacher = group.teacher
    return number(teacher.metrics[metric]) if teacher and metric in teacher.metrics else ""


def _share(share: float | None) -> str:
    return f"{share:.3f}" if share is not None else ""


def number(value: float, sign: str = "") -> str:
    """Four decimals, or four digits of large values, or two of those that four decimals would make zero."""
    if 0 < abs(value) < 5e-5:
        return f"{value:{sign}.1e}"
    return f"{value:{sign}.4f}" if abs(value) < 10 else f"{value:{sign}.4g}"


def spread_text(value: Spread | None, seeds: int | None = None) -> str:
    """`0.6778 ± 0.0031 (3)`; the count is left out where it is `seeds`."""
    if value is None:
        return ""
    text = number(value.mean) + (f" ± {number(value.sd)}" if value.sd is not None else "")
    return text if value.n == seeds else f"{text} ({value.n})"


def difference_text(value: Difference | None, seeds: int | None = None) -> str:
    """`+0.0153 ± 0.0021 (3)`, or `+0.0153 (unpaired)`."""
    if value is None:
        return ""
    text = number(value.mean, "+") + (f" ± {number(value.sd)}" if value.sd is not None else "")
    if value.pairs == 0:
        return f"{text} (unpaired)"
    return text if value.pairs == seeds else f"{text} ({value.pairs})"


def quantity(value: int | None) -> str:
    """`3.24 M`, `5.10 G`."""
    if value is None:
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {letter}"
    return str(value)
