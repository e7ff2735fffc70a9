"""What must be said beside the table."""

from __future__ import annotations

from collections import Counter

from .comparison import Comparison
from .group import Group


def notes(comparison: Comparison) -> list[str]:
    """How to read the numbers, what was left out, what is odd; one line each."""
    lines = ["mean ± sample standard deviation over seeds; (n) where not every seed has a value"]
    if comparison.baseline is not None:
        lines.append(
            f"Δ: difference to '{comparison.baseline.name}', mean ± sample standard deviation of the "
            "differences seed by seed; unpaired: of the means (no seed in common, or one teacher of all)"
        )
    shown = [group.teacher for group in comparison.groups if group.teacher is not None]
    teachers = {teacher.name for teacher in shown if comparison.metrics[0] in teacher.metrics}
    if teachers:
        lines.append(
            f"teacher's: {comparison.metrics[0]} of {', '.join(sorted(teachers))}, with members and views as "
            "students hear it where `distill-perception-train teacher score` has taken it, "
            "else of its run alone"
        )
    lines += [line for group in comparison.groups for line in _repeated_seeds(group)]
    reasons = dict.fromkeys(item.reason for item in comparison.skipped)
    for reason in reasons:
        paths = ", ".join(str(item.path) for item in comparison.skipped if item.reason == reason)
        lines.append(f"skipped {paths}: {reason}")
    return lines


def _repeated_seeds(group: Group) -> list[str]:
    counts = Counter(run.seed for run in group.runs if run.seed is not None)
    return [
        f"{count} runs of '{group.name}' have seed {seed}: they are averaged and count once"
        for seed, count in counts.items()
        if count > 1
    ]
