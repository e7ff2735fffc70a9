"""The ablation table: what each loss brings, for documents that a command generates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..markdown import markdown_table
from .comparison import Comparison, compare
from .errors import CompareError
from .grid import difference_text, spread_text
from .group import Group

LABELS_ONLY = "labels only"


def compare_losses(
    runs: Iterable[Path], baseline: str | Path | None = None, metrics: Sequence[str] = ()
) -> Comparison:
    """`compare`, against the group without distillation losses if no baseline is given.

    Raises:
        CompareError: as `compare`, or no single group without distillation losses and no baseline given.
    """
    runs = list(runs)
    if baseline is None:
        baseline = _labels_only(compare(runs, None, metrics))
    return compare(runs, baseline, metrics)


def ablation_table(comparison: Comparison, metrics: Sequence[str]) -> str:
    """A Markdown table `loss | metric, mean ± spread (n) | difference | ...`, best first.

    Args:
        comparison: one that has a baseline.
        metrics: what is shown, two columns for each.
    """
    labels = [
        f"teacher {group.name}" if group.name in comparison.teachers else loss_label(group)
        for group in comparison.groups
    ]
    rows = []
    for label, group in zip(labels, comparison.groups, strict=True):
        row = [label if labels.count(label) == 1 else f"{label} ({group.name})"]
        for metric in metrics:
            change = difference_text(comparison.difference(group, metric)) or "-"
            row.append(spread_text(group.spread(metric)) or "-")
            row.append("baseline" if group is comparison.baseline else change)
        rows.append(row)
    header = [title for metric in metrics for title in (f"{metric}, mean ± spread (n)", "difference")]
    return markdown_table(["loss", *header], rows)


def loss_label(group: Group) -> str:
    """The distillation losses of a group's recipe, `kl + 3 cwd`, with the module that one looks into.

    The group's name where the recipe does not tell.
    """
    recipe = group.runs[0].recipe or {}
    terms = _terms(recipe)
    if terms:
        return " + ".join(name if weight == "1" else f"{weight} {name}" for name, weight in terms)
    return LABELS_ONLY if recipe and not recipe.get("teacher") else group.name


def _terms(recipe: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and weight of each entry of `distillation`, but those of weight 0."""
    entries = [entry for entry in recipe.get("distillation") or [] if isinstance(entry, dict)]
    terms = [(_name(entry), _weight(entry.get("weight", 1.0))) for entry in entries]
    return [(name, weight) for name, weight in terms if weight != "0"]


def _name(entry: dict[str, Any]) -> str:
    """`cwd`, or `cwd of decoder` where it is the maps of a module that are compared."""
    module = entry.get("student", "logits")
    return str(entry.get("name")) if module == "logits" else f"{entry.get('name')} of {module}"


def _weight(value: Any) -> str:
    """`3`, or `8→1` for one that changes over the training."""
    if isinstance(value, dict):
        return f"{_weight(value.get('start'))}→{_weight(value.get('end'))}"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _labels_only(comparison: Comparison) -> str:
    names = [
        group.name
        for group in comparison.groups
        if group.name not in comparison.teachers and loss_label(group) == LABELS_ONLY
    ]
    if len(names) != 1:
        found = f"{len(names)} groups: {', '.join(names)}" if names else "no group"
        raise CompareError(
            f"{found} without distillation losses: name the one to hold the others against with --baseline"
        )
    return names[0]
