"""What a command shows of scores."""

from __future__ import annotations

from math import nan

from training.score_lines import score_lines, unlabelled

LABELLED = {"miou/a": 0.5, "iou/a/sky": nan, "map50/a": nan}
BARE = {"miou/b": nan, "iou/b/sky": nan, "map50/b": nan}


def test_a_source_without_labels_takes_one_line() -> None:
    lines = [" ".join(line.split()) for line in score_lines({**LABELLED, **BARE})]
    assert lines == [
        "miou/a 0.5000",
        "iou/a/sky nan",  # is in none of its labels
        "map50/a nan",
        "validation frames of 'b' have no labels: no scores",
    ]


def test_agreement_with_a_teacher_needs_no_labels() -> None:
    scores = {**BARE, "agreement/b": 0.25, "teacher_kl/b": 2.0}
    assert unlabelled(scores)
    lines = [" ".join(line.split()) for line in score_lines(scores)]
    assert lines == [
        "validation frames of 'b' have no labels: agreement with the teacher only",
        "agreement/b 0.2500",
        "teacher_kl/b 2.0000",
    ]
