"""The last lines of a replay in the terminal."""

from __future__ import annotations

from rich.text import Text

from ..terminal import OUT, facts
from .recording import answers_lost_words
from .run import Outcome


def print_outcome(outcome: Outcome) -> None:
    """Print the verdict and where the results lie."""
    evaluation, info = outcome.evaluation, outcome.info
    if not evaluation.complete:
        OUT.print(Text("stopped early: these numbers are of the part that was played", "bold yellow"))
    if evaluation.pace and not evaluation.pace.kept:
        pace = evaluation.pace
        OUT.print(Text(f"{pace.problem}, {pace.remedy}: frames were late by {pace}", "bold yellow"))
    lost = evaluation.answers_lost
    if lost and lost > evaluation.frames / 100:
        text = answers_lost_words(lost)
        OUT.print(Text(f"{text}: this machine is too busy, try a slower --rate", "bold yellow"))
    rows: list[tuple[str, object]] = [("model", f"{info.bundle} {info.bundle_version} on {info.engine}")]
    if evaluation.miou is not None:
        rows.append(("mean IoU", f"{evaluation.miou:.4f}  ({evaluation.labelled_masks} labelled frames)"))
    if evaluation.map50 is not None and evaluation.map is not None:
        scores = f"{evaluation.map50:.4f}, {evaluation.map:.4f}"
        rows.append(("mAP50, mAP", f"{scores}  ({evaluation.labelled_boxes} frames with labelled boxes)"))
    latency = evaluation.latency_ms.get("end_to_end")
    if latency:
        values = ", ".join(f"{name} {value:.1f}" for name, value in latency.items())
        rows.append(("end to end", f"{values} ms"))
    rows.append(("dropped", f"{evaluation.dropped} of {evaluation.frames} frames"))
    rows.append(("metrics", outcome.metrics))
    rows.append(("report", outcome.report))
    if outcome.video:
        rows.append(("video", outcome.video))
    OUT.print(facts(rows))
