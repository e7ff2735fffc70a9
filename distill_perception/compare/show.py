"""The comparison in a terminal, as Markdown and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..markdown import markdown_table
from .comparison import Comparison
from .grid import grid
from .group import Group
from .notes import notes


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the table, in blocks of columns where it is too wide, and the notes."""
    for block in grid(comparison).split(console.width):
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for index, title in enumerate(block.header):
            table.add_column(Text(title), overflow="fold", justify="left" if index == 0 else "right")
        for row in block.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        console.print()
    for line in notes(comparison):
        console.print(Text(line, "yellow" if line.startswith("skipped") else "dim"), soft_wrap=True)


def markdown(comparison: Comparison) -> str:
    """The table and the notes, ending in a line feed."""
    shown = grid(comparison)
    lines = "\n".join(f"- {line}" for line in notes(comparison))
    return f"{markdown_table(shown.header, shown.rows)}\n\n{lines}\n"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything that is known, the scores by class too, for other programs."""
    return {
        "metrics": list(comparison.metrics),
        "baseline": comparison.baseline.name if comparison.baseline else None,
        "groups": [_group_json(comparison, group) for group in comparison.groups],
        "skipped": [{"path": str(item.path), "reason": item.reason} for item in comparison.skipped],
    }


def _group_json(comparison: Comparison, group: Group) -> dict[str, Any]:
    metrics, differences, teacher = {}, {}, group.teacher
    for metric in dict.fromkeys(name for run in group.runs for name in run.metrics):
        spread, difference = group.spread(metric), comparison.difference(group, metric)
        metrics[metric] = asdict(spread) if spread else None
        if difference:
            differences[metric] = asdict(difference)
    return {
        "name": group.name,
        "kind": group.runs[0].kind,
        "metrics": metrics,
        "difference": differences,
        "teacher": {"name": teacher.name, "metrics": teacher.metrics} if teacher else None,
        "share_of_teacher": comparison.share_of_teacher(group),
        "cost": group.cost.model_dump(mode="json", exclude_defaults=True),
        "runs": [
            {"path": str(run.path), "seed": run.seed, "metrics": run.metrics, **run.origin}
            for run in group.runs
        ],
    }
