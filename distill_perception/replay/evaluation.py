"""Score a recording against the bag's labels: one confusion matrix, average precision, latency, drops."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..bags.ground_truth import Boxes
from ..bags.reader import Bag, BagFrame
from ..bags.unmatched import tell_unmatched
from ..bundle import Manifest
from ..errors import ReplayError
from ..metrics import AveragePrecision, ConfusionMatrix
from ..topics import BOXES, LABEL, beside
from .label_checks import LabelChecks, check_classes
from .pace import Pace
from .recording import STAGES, FrameResult, Recording, answers_lost, lost_on_the_way

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class ScoredFrame:
    """One frame in the report's eyes. miou: over the classes of this frame, None without label or answer."""

    result: FrameResult
    miou: float | None


@dataclass(frozen=True)
class CameraScores:
    """One of several cameras by itself. latency_ms: end to end, percentiles; scores: None without labels."""

    frames: int
    answered: int
    miou: float | None
    map50: float | None
    latency_ms: dict[str, float] | None


@dataclass(frozen=True)
class Evaluation:
    """What a replay showed. Scores are None where the bag has no labels for them or nothing was answered.

    score_threshold: lowest score of the detections, None if the node did not tell; latency_ms: percentiles
    by stage; samples_ms: float [n] by stage; pace: None where frames did not go out at the bag's; failure:
    why the replay ended early, if not by the user's wish; unscored: why labels were not looked at, empty if
    they were; labelled: answered frames with any label; labelled_masks, labelled_boxes: with a mask, with
    boxes; iou, ap: by name of the classes that occur; confusion: int64 [C,C], rows labelled, columns
    perceived; cameras: by topic, empty where there is but one.
    """

    frames: int
    answered: int
    score_threshold: float | None
    latency_ms: dict[str, dict[str, float]]
    samples_ms: dict[str, np.ndarray]
    counters: dict[str, dict[str, int]]
    complete: bool
    duration_s: float
    pace: Pace | None = None
    failure: str = ""
    unscored: str = ""
    labelled: int | None = None
    labelled_masks: int | None = None
    labelled_boxes: int | None = None
    miou: float | None = None
    pixel_accuracy: float | None = None
    iou: dict[str, float] = field(default_factory=dict)
    map50: float | None = None
    map: float | None = None
    ap: dict[str, float] = field(default_factory=dict)
    confusion: np.ndarray | None = None
    scored: tuple[ScoredFrame, ...] = ()
    cameras: dict[str, CameraScores] = field(default_factory=dict)

    @property
    def dropped(self) -> int:
        """Frames that were sent and not answered."""
        return self.frames - self.answered

    @property
    def lost_on_the_way(self) -> int | None:
        """See `recording.lost_on_the_way`."""
        return lost_on_the_way(self.counters, self.frames)

    @property
    def answers_lost(self) -> int | None:
        """See `recording.answers_lost`."""
        return answers_lost(self.counters, self.frames, self.answered)

    def metrics(self) -> dict[str, Any]:
        """The numbers of metrics.json; a score that could not be computed is None, never 0."""
        return {
            "complete": self.complete,
            "failure": self.failure or None,
            "frames": self.frames,
            "answered": self.answered,
            "dropped": self.dropped,
            "lost_on_the_way": self.lost_on_the_way,
            "answers_lost": self.answers_lost,
            "unscored": self.unscored or None,
            "labelled": self.labelled,
            "labelled_masks": self.labelled_masks,
            "labelled_boxes": self.labelled_boxes,
            "miou": self.miou,
            "iou": self.iou or None,
            "pixel_accuracy": self.pixel_accuracy,
            "map50": self.map50,
            "map": self.map,
            "ap": self.ap or None,
            "score_threshold": self.score_threshold,
            "latency_ms": {stage: self.latency_ms.get(stage) for stage in STAGES},
            "pace_late_ms": self.pace.late_ms if self.pace else None,
            "answered_hz": self.answered / self.duration_s if self.duration_s > 0 else None,
            "duration_s": self.duration_s,
            "node_counters": self.counters or None,
            "cameras": {topic: asdict(scores) for topic, scores in self.cameras.items()} or None,
        }


FrameVisitor = Callable[[BagFrame, ScoredFrame, "np.ndarray | None"], None]


def evaluate(
    bag: Bag,
    recording: Recording,
    manifest: Manifest,
    visit: FrameVisitor = lambda frame, scored, mask: None,
) -> Evaluation:
    """Read the bag again and score every answer.

    Args:
        bag: the bag that was played, with its labels.
        recording: the answers.
        manifest: the bundle's, for its classes.
        visit: called with every frame that was sent, its score and its mask (uint8 [H,W] or None).

    Raises:
        ReplayError: labels do not fit the bundle's classes or the masks' size.
    """
    check_classes(bag, manifest)
    results = {result.key: result for result in recording.results}
    scorer = _Scorer(bag, manifest)
    scored_frames = []
    matched: Counter[str] = Counter()
    for frame in bag.frames():
        matched.update(
            beside(frame.topic, name)
            for name, truth in ((LABEL, frame.label), (BOXES, frame.boxes))
            if truth is not None
        )
        result = results.get((frame.topic, frame.stamp_ns))
        if result is None:
            continue
        mask = recording.masks.get(result.key) if result.answered else None
        scored = ScoredFrame(result, scorer.add(frame, result, mask) if result.answered else None)
        scored_frames.append(scored)
        visit(frame, scored, mask)
    tell_unmatched(bag, matched)
    boxes = scorer.sums.boxes.compute()
    pixels = scorer.sums.pixels
    iou = pixels.iou()
    return replace(
        measured(recording),
        labelled=scorer.labelled,
        labelled_masks=scorer.labelled_masks,
        labelled_boxes=scorer.labelled_boxes,
        miou=_number(pixels.miou()),
        pixel_accuracy=_number(pixels.pixel_accuracy()),
        iou={item.name: float(iou[item.id]) for item in manifest.classes if np.isfinite(iou[item.id])},
        map50=_number(boxes.map50),
        map=_number(boxes.map),
        ap={manifest.classes[class_id].name: value for class_id, value in boxes.by_class.items()},
        confusion=pixels.matrix if pixels.matrix.any() else None,
        scored=tuple(scored_frames),
        cameras={topic: _camera(topic, sums, recording) for topic, sums in scorer.cameras.items()},
    )


def measured(recording: Recording, unscored: str = "") -> Evaluation:
    """Latency and drops alone, which need no look at the bag. unscored: why there are no scores."""
    samples = _samples(recording)
    return Evaluation(
        frames=len(recording.results),
        answered=sum(result.answered for result in recording.results),
        score_threshold=recording.score_threshold,
        latency_ms={stage: _percentiles(values) for stage, values in samples.items()},
        samples_ms=samples,
        counters=recording.counters,
        complete=recording.complete,
        duration_s=recording.duration_s,
        pace=recording.pace,
        failure=recording.failure,
        unscored=unscored,
    )


def _camera(topic: str, sums: _Sums, recording: Recording) -> CameraScores:
    own = replace(recording, results=tuple(item for item in recording.results if item.key[0] == topic))
    answered = sum(result.answered for result in own.results)
    times = _samples(own).get("end_to_end")
    return CameraScores(
        frames=len(own.results),
        answered=answered,
        miou=_number(sums.pixels.miou()),
        map50=_number(sums.boxes.compute().map50),
        latency_ms=None if times is None else _percentiles(times),
    )


class _Sums:
    """Pixels and boxes of some frames."""

    def __init__(self, classes: int) -> None:
        self.pixels = ConfusionMatrix(classes)
        self.boxes = AveragePrecision(range(classes))


class _Scorer:
    """Accumulates the scores of labelled frames. cameras: each by itself where there are several."""

    def __init__(self, bag: Bag, manifest: Manifest) -> None:
        self._manifest = manifest
        self._checks = LabelChecks(bag, manifest)
        self.sums = _Sums(len(manifest.classes))
        several = bag.topics if len(bag.topics) > 1 else ()
        self.cameras = {topic: _Sums(len(manifest.classes)) for topic in several}
        self.labelled = self.labelled_masks = self.labelled_boxes = 0

    def add(self, frame: BagFrame, result: FrameResult, mask: np.ndarray | None) -> float | None:
        """Score an answered frame; returns its own mean IoU, None if it has no label or no mask."""
        miou = None
        if frame.label is not None and mask is not None:
            miou = self._add_mask(frame, frame.label, mask)
        if frame.boxes is not None and "detection" in self._manifest.tasks:
            self._add_boxes(frame, frame.boxes, result)
        self.labelled += frame.label is not None or frame.boxes is not None
        self.labelled_masks += frame.label is not None
        self.labelled_boxes += frame.boxes is not None
        return miou

    def _add_mask(self, frame: BagFrame, label: np.ndarray, mask: np.ndarray) -> float | None:
        self._checks.check_size(frame, label, "mask", mask.shape)
        self._checks.check_ids(frame, label)
        own = ConfusionMatrix(len(self._manifest.classes))
        try:
            own.update(label, mask)
        except ValueError as error:  # the node serves a bundle of more classes
            raise ReplayError(
                f"{self._checks.where(frame)}: {error} in bundle '{self._manifest.name}'; "
                "name the bundle that the node serves with --bundle"
            ) from error
        for sums in self._sums_of(frame):
            sums.pixels.matrix += own.matrix
        return _number(own.miou())

    def _add_boxes(self, frame: BagFrame, boxes: Boxes, result: FrameResult) -> None:
        self._checks.check_boxes(frame, boxes)
        found = result.detections
        for sums in self._sums_of(frame):
            sums.boxes.update(
                np.array([item.box for item in found], np.float64).reshape(-1, 4),
                np.array([item.score for item in found], np.float64),
                np.array([item.label for item in found], np.int64),
                boxes.xyxy,
                boxes.labels,
                boxes.ignored,
                boxes.ignored_labels,
            )

    def _sums_of(self, frame: BagFrame) -> list[_Sums]:
        own = self.cameras.get(frame.topic)
        return [self.sums] if own is None else [self.sums, own]


def _samples(recording: Recording) -> dict[str, np.ndarray]:
    """Milliseconds by stage, in the order of STAGES, of all frames whose time is known."""
    samples = {}
    for stage in STAGES:
        values = [r.timings_ms[stage] for r in recording.results if r.answered and stage in r.timings_ms]
        if values:
            samples[stage] = np.array(values, np.float64)
    return samples


def _percentiles(values: np.ndarray) -> dict[str, float]:
    return {f"p{q}": float(v) for q, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
