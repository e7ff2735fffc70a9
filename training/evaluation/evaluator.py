"""All scores of a validation set from one object that is fed batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassConfusionMatrix

from distill_perception.bundle import ClassInfo
from distill_perception.metrics import iou_from_confusion
from training.errors import TrainingError
from training.evaluation.agreement import TeacherAgreement
from training.evaluation.boundary import BoundaryF
from training.evaluation.calibration import CalibrationError
from training.evaluation.detection import NO_REGIONS, BoxPrecision, Detected, Regions
from training.evaluation.inputs import checked_target, log_probabilities

TASKS = ("segmentation", "detection")


class Evaluator:
    """Streams a validation set and gives a flat dict of floats.

    Keys: `miou`, `boundary_f`, `ece`, `iou/<class>`, `bf/<class>` (segmentation); `map50`, `map`,
    `ap/<class>` (detection, thing classes only); `agreement`, `teacher_kl` (teacher). Which keys there are
    depends on the arguments alone; a value that nothing fed can tell is nan. Under torch.distributed every
    process calls `compute` and gets the scores of all (a sampler that repeats frames counts them twice).
    """

    def __init__(
        self,
        classes: Sequence[ClassInfo],
        void_id: int,
        tasks: Sequence[str] = ("segmentation",),
        teacher: bool = False,
        thorough: bool = True,
    ) -> None:
        """Prepare.

        Args:
            classes: in the order of their ids. void_id: the id of pixels without a label.
            tasks: "segmentation", "detection" or both. teacher: whether a teacher's scores will be given.
            thorough: contours and calibration too (`boundary_f`, `bf/<class>`, `ece`), which take most of
                the time.

        Raises:
            TrainingError: an unknown task, or detection without a class of kind "thing".
        """
        if unknown := set(tasks) - set(TASKS):
            raise TrainingError(f"evaluation: unknown task '{min(unknown)}'; known: {', '.join(TASKS)}")
        things = [item.id for item in classes if item.kind == "thing"]
        if "detection" in tasks and not things:
            raise TrainingError("evaluation: detection needs classes of kind 'thing'; this set has none")
        self.classes, self.void_id = tuple(classes), void_id
        self.metrics: dict[str, Metric] = {}
        if "segmentation" in tasks:
            count = len(self.classes)
            self.metrics["confusion"] = MulticlassConfusionMatrix(count, void_id, validate_args=False)
            if thorough:
                self.metrics["boundary"] = BoundaryF(count, void_id)
                self.metrics["calibration"] = CalibrationError(void_id)
        if teacher:
            self.metrics["teacher"] = TeacherAgreement()
        if "detection" in tasks:
            self.metrics["boxes"] = BoxPrecision(things)

    def to(self, device: torch.device | str) -> Evaluator:
        """Move the sums; `update_masks` does it by itself, and NCCL needs it before `compute`."""
        for metric in self.metrics.values():
            metric.to(device)
        return self

    def update_masks(
        self,
        scores: Any,
        target: Any,
        has_mask: Any = None,
        teacher: Any = None,
        inside: Any = None,
    ) -> None:
        """Add the segmentation of a batch; torch or numpy.

        Args:
            scores: logits float [N,C,h,w] at any stride. target: class ids or void, int [N,H,W].
            has_mask: bool [N]; frames without a mask count for nothing but the teacher, which needs no label.
                All have one if None.
            teacher: the teacher's logits, float [N,C,h',w'], needed when made with `teacher=True`.
            inside: bool [N,H,W], pixels of frames without a mask that count for the teacher; all if None.

        Raises:
            TrainingError: shapes, class ids or values cannot be scored; the teacher's scores are missing.
        """
        ids = checked_target(target, len(self.classes), self.void_id)
        student = log_probabilities(scores, (ids.shape[1], ids.shape[2]))
        if student.shape[:2] != (len(ids), len(self.classes)):
            raise TrainingError(
                f"evaluation: logits are {list(student.shape[:2])} frames by classes, the masks are "
                f"{len(ids)} frames and the class set has {len(self.classes)} classes"
            )
        self.to(student.device)
        ids = ids.to(student.device)
        labelled = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        if has_mask is not None:
            labelled = torch.as_tensor(has_mask, device=ids.device).bool()
        ids = torch.where(labelled[:, None, None], ids, self.void_id)
        log_confidence, prediction = student.max(1)
        if "confusion" in self.metrics:
            self.metrics["confusion"].update(prediction, ids)
        if "boundary" in self.metrics:
            self.metrics["boundary"].update(prediction, ids)
            self.metrics["calibration"].update(log_confidence.exp(), prediction, ids)
        if "teacher" in self.metrics:
            if teacher is None:
                raise TrainingError("evaluation: made with teacher=True, but no teacher's scores were given")
            hints = log_probabilities(teacher, (ids.shape[1], ids.shape[2])).to(student.device)
            counted = ~labelled[:, None, None]
            if inside is not None:
                counted = counted & torch.as_tensor(inside, device=ids.device).bool()
            counted = counted | (ids != self.void_id)
            self.metrics["teacher"].update(student, hints, counted)

    def update_boxes(
        self,
        detected: Sequence[Detected],
        boxes: Sequence[Any],
        labels: Sequence[Any],
        has_boxes: Any = None,
        ignored: Sequence[Regions] | None = None,
    ) -> None:
        """Add the detections of a batch; torch or numpy.

        Args:
            detected: an image's (boxes float [K,4] x1,y1,x2,y2 in pixels, scores float [K], class ids [K]).
            boxes: an image's labelled boxes, float [G,4]. labels: their class ids, int [G].
            has_boxes: bool [N]; images whose boxes are unknown are left out. All are known if None.
            ignored: an image's (boxes float [I,4], class ids [I]) of regions where a find is no fault; there
                are none if it is empty or None.

        Raises:
            TrainingError: made without the task "detection"; lengths, class ids or values cannot be scored.
        """
        if "boxes" not in self.metrics:
            raise TrainingError("evaluation: made without the task 'detection', but boxes were given")
        known = [True] * len(boxes) if has_boxes is None else torch.as_tensor(has_boxes).tolist()
        if len(detected) != len(boxes) or len(known) != len(boxes):
            raise TrainingError(
                f"evaluation: {len(detected)} images with detections, {len(boxes)} with labelled boxes, "
                f"{len(known)} flags; give one of each an image"
            )
        keep = [index for index, flag in enumerate(known) if flag]
        regions = ignored or [NO_REGIONS] * len(boxes)
        parts = ([values[index] for index in keep] for values in (detected, boxes, labels, regions))
        self.metrics["boxes"].update(*parts)

    def compute(self, source: str | None = None) -> dict[str, float]:
        """The scores of everything given so far.

        Args:
            source: name of the data set, put behind each key's first word: `miou/camvid`, `iou/camvid/sky`.
        """
        if "boxes" in self.metrics:
            self.metrics["boxes"].update(
                [], [], []
            )  # a process that saw no boxes takes part in the gathering
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")  # nothing fed: nan
            values = {name: metric.compute() for name, metric in self.metrics.items()}
        scores: dict[str, float] = {}
        count = len(self.classes)  # torchmetrics takes the dimensions off what it has of a single class
        if "confusion" in values:
            matrix = values["confusion"].reshape(count, count)
            iou = torch.from_numpy(iou_from_confusion(matrix.cpu().numpy()))
            scores |= {"miou": float(iou.nanmean())} | self._by_class("iou", iou)
        if "boundary" in values:
            contours = values["boundary"].reshape(count)
            scores |= {"boundary_f": float(contours.nanmean()), "ece": float(values["calibration"])}
            scores |= self._by_class("bf", contours)
        if "teacher" in values:
            agreement, divergence = values["teacher"]
            scores |= {"agreement": float(agreement), "teacher_kl": float(divergence)}
        if "boxes" in values:
            precision = values["boxes"]
            scores |= {"map50": float(precision[:, 0].nanmean()), "map": float(precision.nanmean())}
            things = [item.name for item in self.classes if item.kind == "thing"]
            by_class = precision.mean(1).tolist()
            scores |= {f"ap/{name}": value for name, value in zip(things, by_class, strict=True)}
        return scores if source is None else {_named(key, source): value for key, value in scores.items()}

    def _by_class(self, head: str, values: Tensor) -> dict[str, float]:
        return {
            f"{head}/{item.name}": value for item, value in zip(self.classes, values.tolist(), strict=True)
        }


def _named(key: str, source: str) -> str:
    head, slash, rest = key.partition("/")
    return f"{head}/{source}{slash}{rest}"
