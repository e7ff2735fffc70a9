"""The last lines of a replay in the terminal."""

from __future__ import annotations

from rich.text import Text

from ..terminal import OUT, facts
from .recording import answers_lost_words
from .results_folder import NODE_LOG
from .run import Outcome

# The node's counters of frames that get no answer
_REASONS = {
    "dropped_stale": "too old",
    "dropped_overwritten": "overtaken by newer ones",
    "malformed": "malformed",
    "failed": "failed",
}


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
    rows.append(("dropped", _dropped(outcome)))
    rows.append(("metrics", outcome.metrics))
    rows.append(("report", outcome.report))
    if outcome.video:
        of = f" ({info.topics[0]} of {len(info.topics)} cameras)" if len(info.topics) > 1 else ""
        rows.append(("video", f"{outcome.video}{of}"))
    OUT.print(facts(rows))


def _dropped(outcome: Outcome) -> str:
    """How many, for which of the node's reasons, and where it says more."""
    evaluation = outcome.evaluation
    reasons = dict.fromkeys(_REASONS, 0)
    for counters in evaluation.counters.values():
        for name in reasons:
            reasons[name] += counters.get(name, 0)
    told = ", ".join(f"{number} {_REASONS[name]}" for name, number in reasons.items() if number)
    text = f"{evaluation.dropped} of {evaluation.frames} frames" + (f": {told}" if told else "")
    log = outcome.metrics.with_name(NODE_LOG)
    return f"{text}; {log} says why" if reasons["malformed"] + reasons["failed"] and log.is_file() else text
