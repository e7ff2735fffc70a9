"""Scores as a command shows them: nothing can be told of frames without labels, and that is said once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

TEACHER_SCORES = ("agreement", "teacher_kl")  # no label is needed for them
NO_SCORES = "no scores"
UNASKED = "no scores; agreement with the teacher takes one that runs in every step, without teacher.cache"


def score_lines(scores: Mapping[str, float], otherwise: str = NO_SCORES) -> list[str]:
    """A line a score; of a source without labels one line in place of the scores that are nan.

    Args:
        scores: by names such as `miou/camvid` and `iou/camvid/sky`.
        otherwise: what there is where not even agreement with a teacher was measured.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for key in scores:
        sources[key.partition("/")[2].partition("/")[0]].append(key)
    lines = []
    for source, keys in sources.items():
        if unlabelled(scores, keys):
            keys = [key for key in keys if not math.isnan(scores[key])]
            left = "agreement with the teacher only" if keys else otherwise
            lines.append(f"validation frames of '{source}' have no labels: {left}")
        lines += [f"{key:32s} {scores[key]:.4f}" for key in keys]
    return lines


def unlabelled(scores: Mapping[str, float], keys: list[str] | None = None) -> bool:
    """Whether none of the scores that labels give (all, or those of `keys`) could be taken."""
    of_labels = [key for key in keys or scores if not is_of_teacher(key)]
    return all(math.isnan(scores[key]) for key in of_labels)


def is_of_teacher(key: str) -> bool:
    """Whether a score compares with the teacher, not with labels."""
    return key.split("/")[0] in TEACHER_SCORES
