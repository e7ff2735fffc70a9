"""`compare`: run folders in, groups with mean, spread and differences out."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .discover import discover, is_run
from .errors import CompareError
from .group import Group, group_runs
from .run import Run, Skipped, is_by_class
from .spread import Difference, difference, unpaired
from .teacher_scores import with_teacher_scores

LOWER_IS_BETTER = ("ece", "teacher_kl")


@dataclass(frozen=True)
class Comparison:
    """What is shown: the baseline first, then by the first metric, best mean first.

    Attributes:
        groups: runs that differ only in their seed are one group.
        metrics: names of the metrics that are shown; the first is what the runs are known by.
        baseline: the group that the others are held against.
        skipped: runs that were left out, and why.
    """

    groups: tuple[Group, ...]
    metrics: tuple[str, ...]
    baseline: Group | None
    skipped: tuple[Skipped, ...]

    def difference(self, group: Group, metric: str) -> Difference | None:
        """How far a group lies above the baseline; None for the baseline itself or where one has no value."""
        if self.baseline is None or group is self.baseline:
            return None
        values, base = group.values(metric), self.baseline.values(metric)
        if not values or not base:
            return None
        # The one teacher of all seeds is no counterpart of the student that happens to have its seed.
        lone = any(item.seeds == 1 and item.name in self.teachers for item in (group, self.baseline))
        return unpaired(values, base) if lone else difference(values, base)

    @cached_property
    def teachers(self) -> frozenset[str]:
        """Names of the groups that others learnt from."""
        named = {run.teacher.name for group in self.groups for run in group.runs if run.teacher}
        return frozenset(
            group.name
            for group in self.groups
            if group.name in named or any(run.path.resolve().name in named for run in group.runs)
        )

    def share_of_teacher(self, group: Group) -> float | None:
        """The group's mean of the first metric over its teacher's; None where either is unknown."""
        teacher, mine = group.teacher, group.spread(self.metrics[0])
        theirs = teacher.metrics.get(self.metrics[0]) if teacher else None
        return mine.mean / theirs if mine and theirs else None


def compare(
    runs: Iterable[Path], baseline: str | Path | None = None, metrics: Sequence[str] = ()
) -> Comparison:
    """Compare finished trainings, bundles and replays.

    Args:
        runs: their folders, or folders of such.
        baseline: a group's name, or the folder of a run, which stands for its whole group.
        metrics: names or patterns (`iou/camvid/*`); all but the scores by class if empty.

    Raises:
        CompareError: no path holds a run, nothing is finished, or baseline or metrics are unknown.
    """
    found, skipped = discover(runs)
    if baseline is not None and is_run(Path(baseline)):
        found = _with_run(found, Path(baseline))
    if not found:
        reasons = "".join(f"\n  {item.path}: {item.reason}" for item in skipped)
        raise CompareError(f"none of the {len(skipped)} runs can be compared:{reasons}")
    groups = group_runs(with_teacher_scores(found))
    names = _choose_metrics(groups, metrics)
    base = _find_baseline(groups, baseline) if baseline is not None else None

    sign = 1 if names[0].partition("/")[0] in LOWER_IS_BETTER else -1

    def rank(group: Group) -> tuple[bool, float]:
        first = group.spread(names[0])
        return group is not base, sign * first.mean if first else float("inf")

    return Comparison(tuple(sorted(groups, key=rank)), names, base, tuple(skipped))


def _with_run(runs: list[Run], folder: Path) -> list[Run]:
    """The runs, and that in `folder` if it is not among them."""
    if any(run.path.resolve() == folder.resolve() for run in runs):
        return runs
    more, skipped = discover([folder])
    if skipped:
        raise CompareError(f"baseline {skipped[0].path}: {skipped[0].reason}")
    return [*runs, *more]


def _choose_metrics(groups: Sequence[Group], wanted: Sequence[str]) -> tuple[str, ...]:
    recorded = list(dict.fromkeys(name for group in groups for run in group.runs for name in run.metrics))
    if not wanted:
        names = [name for name in recorded if not is_by_class(name)] or recorded
        if not names:
            raise CompareError("no run recorded a metric")
        return tuple(names)
    chosen: dict[str, None] = {}
    for pattern in wanted:
        matches = [name for name in recorded if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise CompareError(f"no run has the metric '{pattern}'; {_hint(pattern, recorded)}")
        chosen |= dict.fromkeys(matches)
    return tuple(chosen)


def _find_baseline(groups: Sequence[Group], wanted: str | Path) -> Group:
    folder = Path(wanted).resolve()
    for group in groups:
        if str(wanted) == group.name or any(run.path.resolve() == folder for run in group.runs):
            return group
    by_folder = [g for g in groups if any(run.path.resolve().name == str(wanted) for run in g.runs)]
    if len(by_folder) == 1:
        return by_folder[0]
    raise CompareError(
        f"baseline '{wanted}' is not among the runs; {_hint(str(wanted), [g.name for g in groups])}"
    )


def _hint(wanted: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    if nearest:
        return "did you mean " + " or ".join(f"'{name}'" for name in nearest) + "?"
    shown = [name for name in known if not is_by_class(name)] or list(known)
    return f"known: {', '.join(shown)}"
