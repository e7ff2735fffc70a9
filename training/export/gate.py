"""What a reduced precision may lose, and by which frames that is judged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from distill_perception.bundle import Bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.engines.tensorrt.dialect import to_tensorrt
from distill_perception.perceptor import Frame, Perceptor
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.sources import open_source
from training.data.sources.base import Mapped, Source
from training.errors import TrainingError
from training.export.evaluate import evaluate_bundle
from training.export.parity import checkable, compare_answers, engine_answers
from training.export.parting import widening_layer
from training.recipe import Recipe

SCORE_OF = {"segmentation": "miou", "detection": "map50"}
MAIN_SCORES = tuple(SCORE_OF.values())
ALL_SCORES = (*MAIN_SCORES, "map")  # those of whole tasks; the last is shown, not judged
TENSORRT = "TensorRT"  # INT8 with its symmetric activations, computed by ONNX Runtime
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


def reduced_forms(bundle: Bundle) -> list[tuple[str, str]]:
    """Engine and precision of all that is judged against fp32.

    Raises:
        TrainingError: a precision that no engine here runs.
    """
    pairs = [pair for pair in checkable(bundle) if pair[1] != "fp32"]
    return [*pairs, (TENSORRT, "int8")] if "int8" in bundle.manifest.precisions else pairs


def form_name(engine: str, precision: str) -> str:
    """A form of the bundle in words."""
    return f"{precision} as {engine} rounds it" if engine == TENSORRT else f"{precision} on {engine}"


def score_form(bundle: Bundle, judge: Judge, engine: str, precision: str) -> dict[str, float]:
    """Scores of one form of a bundle on a judge's frames."""
    with _as_run(bundle, engine, precision) as (served, runner):
        return evaluate_bundle(served, judge.source, judge.name, runner, precision).values


def form_agreement(
    bundle: Bundle, engine: str, precision: str, frames: NDArray[np.uint8]
) -> tuple[float | None, str]:
    """How one form of a bundle answers beside fp32, and where it parts from it.

    Args:
        frames: uint8 [N,H,W,3] in the bundle's size and channel order.

    Returns:
        Share of equal mask pixels, None without masks, and a sentence that names the layer.
    """
    full = engine_answers(bundle, "onnxruntime", "fp32", frames)
    with _as_run(bundle, engine, precision) as (served, runner):
        found = engine_answers(served, runner, precision, frames)
        where = widening_layer(bundle.model_path("fp32"), served.model_path(precision), frames[0], runner)
    return compare_answers(engine, full, found).mask_agreement, where


@contextmanager
def _as_run(bundle: Bundle, engine: str, precision: str) -> Iterator[tuple[Bundle, str]]:
    """The bundle whose file is run for a form, and the engine that runs it."""
    if engine != TENSORRT:
        yield bundle, engine
        return
    file = bundle.model_path(precision)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(to_tensorrt(onnx.load(str(file))), str(Path(folder) / file.name))
        yield Bundle(Path(folder), bundle.manifest), "onnxruntime"


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
