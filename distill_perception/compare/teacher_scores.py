"""Scores of a teacher with all its members and views: what `distill-perception-train teacher score` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .run import Run


def with_teacher_scores(runs: Iterable[Run]) -> list[Run]:
    """The runs; those whose teacher is scored among them know its metrics."""
    runs = list(runs)
    scored = {_key(run.origin["teacher_spec"]): run.metrics for run in runs if "teacher_spec" in run.origin}

    def told(run: Run) -> Run:
        metrics = scored.get(_key((run.recipe or {}).get("teacher")))
        if run.teacher is None or metrics is None:
            return run
        return replace(run, teacher=replace(run.teacher, metrics=metrics))

    return [told(run) for run in runs]


def _key(spec: Any) -> str:
    """A recipe's teacher section without what does not change its answers."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if v is not None and k != "cache"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return json.dumps(plain(spec), sort_keys=True)
