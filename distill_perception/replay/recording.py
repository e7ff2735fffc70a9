"""What came back from the perception stack, frame by frame, before anything is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..bags.mask_spool import Key, MaskSpool
from ..perceptor import Detection
from .pace import Pace

# In the order in which a frame passes them; "total" is the node's, from callback to last result published;
# "end_to_end" is measured by the one who sends the frame, from sending to the last answer received.
STAGES = ("queue", "preprocess", "inference", "postprocess", "publish", "total", "end_to_end")


@dataclass(frozen=True)
class FrameResult:
    """The answer to one frame, or its absence.

    sent_s: seconds since the replay's start; timings_ms: milliseconds by stage, only those that are known.
    """

    key: Key
    sent_s: float
    answered: bool
    detections: tuple[Detection, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """All answers of one replay.

    counters: the node's own figures by camera, empty if it was not asked; score_threshold: lowest score of
    the detections, None if the node did not tell; pace: None where frames did not go out at the bag's;
    failure: why the replay ended early, empty if by the user's wish or not at all.
    """

    results: tuple[FrameResult, ...]
    masks: MaskSpool
    complete: bool
    duration_s: float
    engine: str
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    score_threshold: float | None = None
    pace: Pace | None = None
    failure: str = ""


Counters = Mapping[str, Mapping[str, int]]


def lost_on_the_way(counters: Counters, frames: int) -> int | None:
    """Frames that the node's counters never saw arrive; None if they count others' frames too, or none."""
    received = _sum(counters, "received")
    return frames - received if counters and received <= frames else None


def answers_lost(counters: Counters, frames: int, answered: int) -> int | None:
    """Frames that the node's counters saw answered, and whose answers did not come; None as above."""
    if lost_on_the_way(counters, frames) is None:
        return None
    return max(0, _sum(counters, "processed") - answered)


def _sum(counters: Counters, name: str) -> int:
    return sum(values.get(name, 0) for values in counters.values())


def answers_lost_words(lost: int) -> str:
    """What terminal and report say of them."""
    were = "was" if lost == 1 else "were"
    return f"{lost} of the dropped frames {were} answered, but the answers did not get here in time"
