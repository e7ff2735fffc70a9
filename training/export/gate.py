"""What a reduced precision may lose, and by which frames that is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distill_perception.bundle import Bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.perceptor import Frame, Perceptor
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.sources import open_source
from training.data.sources.base import Mapped, Source
from training.errors import TrainingError
from training.export.evaluate import evaluate_bundle
from training.export.forms import Form, as_run
from training.export.parity import HARDLY_TRAINED
from training.export.parting import widening_layer
from training.recipe import Recipe

SCORE_OF = {"segmentation": "miou", "detection": "map50"}
MAIN_SCORES = tuple(SCORE_OF.values())
ALL_SCORES = (*MAIN_SCORES, "map")  # those of whole tasks; the last is shown, not judged
MAX_FP32_DIFFERENCE = {"miou": 0.002, "map50": 0.01}  # between torch and an engine: rounding, ties of scores
# Without labels, fp32's own answers take their place, detections from this score on. INT8 forms of the
# shipped students that lost next to nothing in scores on labels kept 0.957 mIoU and 0.98 mAP50 of these.
ANSWERS_FROM = 0.3
MAX_DROP_FROM_ANSWERS = 0.1


@dataclass(frozen=True)
class Budget:
    """What each main score may lose, 0..1.

    Attributes:
        max_drop: of mIoU, and of mAP50 unless that has a budget of its own.
        baseline: scores on the first validation source that losses are counted from; the bundle's own in
            fp32 where it names none.
    """

    max_drop: float = 0.01
    baseline: Mapping[str, float] = field(default_factory=dict)
    max_map50_drop: float | None = None

    def of(self, score: str) -> float:
        """Of one main score."""
        own = self.max_map50_drop if score == "map50" else None
        return self.max_drop if own is None else own


@dataclass(frozen=True)
class Judge:
    """A source of frames to score on.

    Attributes:
        about: the source in words, for metrics.
        full: the bundle's fp32 scores on its labels.
        counted_from: main scores that are judged here, and the value that losses are counted from.
        max_drop: what they may lose, by name.
    """

    source: Source
    name: str
    about: str
    full: Mapping[str, float]
    counted_from: Mapping[str, float]
    max_drop: Mapping[str, float]

    def complaint(self, what: str, found: Mapping[str, float]) -> str:
        """What a form named `what` loses too much of; empty if it keeps within the budget."""
        for name, full in self.counted_from.items():
            if full - found[name] > self.max_drop[name]:
                return (
                    f"{what} loses {full - found[name]:.4f} {name} on {self.about} (of {full:.4f}), more "
                    f"than {self.max_drop[name]:g}"
                )
        return ""


def judges(bundle: Bundle, recipe: Recipe, budget: Budget) -> list[Judge]:
    """A judge for each validation source; each main score is judged on the first that has labels for it.

    Where none has and there is something to judge, fp32's own answers to the first source's frames are the
    labels of one more judge.

    Raises:
        TrainingError: nothing tells what a reduced precision loses.
    """
    classes = class_set(recipe.data.class_set)
    wanted = [SCORE_OF[task] for task in bundle.manifest.tasks]
    found: list[Judge] = []
    judged: set[str] = set()
    for index, spec in enumerate(recipe.data.val):
        source = Mapped(open_source(spec), classes, spec.classes)
        score = evaluate_bundle(bundle, source, spec.name, "onnxruntime", "fp32")
        full = score.values
        baseline = budget.baseline if index == 0 else {}
        own = {name: full[name] for name in wanted if name in full and name not in judged}
        judged |= own.keys()
        about = f"{spec.name} val, {score.frames} frames"
        counted_from = {name: baseline.get(name, value) for name, value in own.items()}
        most = {name: budget.of(name) for name in own}
        found.append(Judge(source, spec.name, about, full, counted_from, most))
    missing = [task for task in bundle.manifest.tasks if SCORE_OF[task] not in judged]
    if missing and len(bundle.manifest.precisions) > 1:
        first = found[0]
        answered = Answered(bundle, first.source, missing)
        about = f"{first.about}, fp32's answers as labels"
        whole = {SCORE_OF[task]: 1.0 for task in missing}
        most = {name: max(budget.of(name), MAX_DROP_FROM_ANSWERS) for name in whole}
        found.append(Judge(answered, first.name, about, {}, whole, most))
    return found


def score_form(bundle: Bundle, judge: Judge, form: Form) -> dict[str, float]:
    """Scores of one form of a bundle on a judge's frames."""
    with as_run(bundle, form) as (served, run):
        return evaluate_bundle(served, judge.source, judge.name, run.engine, run.precision, run.device).values


def fp32_complaint(
    judge: Judge, form: Form, found: Mapping[str, float], torch: Mapping[str, float], tied: bool = False
) -> str:
    """What a form in fp32 scores otherwise than torch does, in words; empty where they are alike.

    Args:
        found, torch: main scores on the judge's frames.
        tied: of torch's detections, see `Parity`.
    """
    for name, most in MAX_FP32_DIFFERENCE.items():
        if name in torch and not abs(found[name] - torch[name]) <= most:
            return (
                f"{form.name} has {found[name]:.4f} {name} on {judge.about}, torch {torch[name]:.4f}: more "
                f"than {most:g} apart"
            ) + (f"; {HARDLY_TRAINED}" if tied and name == "map50" else "")
    return ""


def growing_error(bundle: Bundle, form: Form, frame: NDArray[np.uint8]) -> str:
    """The layer at which a reduced form parts most from fp32, in a sentence; empty where that does not show.

    Args:
        frame: uint8 [H,W,3] in the bundle's size and channel order.
    """
    if form.device != "cpu":
        return ""
    with as_run(bundle, form) as (served, run):
        return widening_layer(bundle.model_path("fp32"), served.model_path(run.precision), frame, run.engine)


class Answered:
    """A source whose labels are what a bundle's fp32 form answers, for some tasks; for others it has none.

    Raises:
        TrainingError: it detects nothing.
    """

    def __init__(self, bundle: Bundle, source: Source, tasks: list[str]) -> None:
        self.class_set, self._source, self._tasks = source.class_set, source, tasks
        engine = open_engine(bundle, "onnxruntime", EngineSettings(precision="fp32"))
        perceptor = Perceptor(bundle, engine, score_threshold=ANSWERS_FROM)
        self._seen = [
            perceptor.perceive([Frame(source[index].image, "rgb8")])[0] for index in range(len(source))
        ]
        perceptor.close()
        if "detection" in tasks and not any(seen.detections for seen in self._seen):
            raise TrainingError(
                "no validation frame has boxes, and fp32 finds none either, so that nobody can say what a "
                "reduced precision loses: add frames with objects to data.val, or export fp32 alone"
            )

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        sample, seen = self._source[index], self._seen[index]
        return Sample(
            sample.name,
            sample.image,
            sample.mask if seen.mask is None else seen.mask,
            np.array([item.box for item in seen.detections], np.float32).reshape(-1, 4),
            np.array([item.label for item in seen.detections], np.int64),
            has_mask="segmentation" in self._tasks,
            has_boxes="detection" in self._tasks,
        )

    def key(self, index: int) -> str:
        """As the frame's."""
        return self._source.key(index)
