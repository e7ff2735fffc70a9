"""Bringing what a loss compares to one size and precision: logits, masks, labels, feature maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.processes import process_weight
from training.errors import TrainingError
from training.models.outputs import DetectionMaps, reach, resample, upsample, whole_stride
from training.teachers.log_probs import missing_mass, with_missing
from training.teachers.views import place_maps

UNKNOWN = -1  # class of a pixel that has neither a label nor an answer of the teacher
MOSTLY = math.log(0.5)  # of a pixel: what is more probable than all else together


def full_precision(x: Tensor) -> Tensor:
    """Half precisions become float32; float32 and float64 stay."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def resize(x: Tensor, size: tuple[int, int], frame: tuple[int, int]) -> Tensor:
    """Map [N,C,h,w] of a `frame` (H, W) -> [N,C,*size]: bilinear at the centres of the new cells.

    Both may stand out over the frame's edge (`reach`). The same tensor if nothing changes.
    """
    old = x.shape[-2], x.shape[-1]
    if old == size:
        return x
    covered, (height, width) = reach(size, frame), reach(old, frame)
    if covered == (height, width) or whole_stride(old, size) is not None:
        return upsample(x, *size)
    return resample(x, size, covered, (0, height), (0, width))


def nearest(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Ids or flags [N,h,w] -> [N,*size]: of each cell, what is at its centre. Any dtype.

    The larger of the two is taken for the frame; a map of whole stride may stand out over its edge (`reach`).
    """
    old = mask.shape[-2], mask.shape[-1]
    if old == size:
        return mask
    frame = max(old[0], size[0]), max(old[1], size[1])
    rows, columns = (
        ((torch.arange(new, device=mask.device) + 0.5) * (covered / new) * (cells / before)).long()
        for new, covered, cells, before in zip(size, reach(size, frame), old, reach(old, frame), strict=True)
    )
    return mask[:, rows.clamp(max=old[0] - 1)][:, :, columns.clamp(max=old[1] - 1)]


def mostly_foreign(log_probs: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels that a teacher (float [N,C,h,w]) holds for none of the student's classes: bool [N,*size].

    They teach nothing, and there is nothing on them to agree with.
    """
    return nearest(missing_mass(log_probs)[:, 0] > MOSTLY, size)


def known_channels(x: Tensor, known: Tensor | None) -> Tensor:
    """The channels of [N,C,h,w] that `known` bool [C] names; all if it is None."""
    return x if known is None else x[:, known.to(x.device)]


def class_log_probs(x: Tensor, known: Tensor | None) -> Tensor:
    """log_softmax of logits [N,C,h,w] over the classes that `known` bool [C] names, all if it is None.

    The others' channels are 0.
    """
    lowest = torch.finfo(x.dtype).min / 2
    return without_unknown(without_unknown(x, known, lowest).log_softmax(1), known)


def without_unknown(x: Tensor, known: Tensor | None, value: float = 0.0) -> Tensor:
    """[N,C,h,w] with `value` in the channels that `known` bool [C] does not name; none are if it is None."""
    return x if known is None else x.masked_fill(~known.to(x.device)[:, None, None], value)


def masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of `values` (same shape as `weight`, or broadcast to it); 0 where nothing weighs.

    Of several processes each gets its share: their average is the mean over the values of all.
    """
    weight = weight.to(values.dtype).expand_as(values)
    total = weight.sum()
    mean = (values * weight).sum() / torch.where(total > 0, total, torch.ones_like(total))
    return mean * process_weight(total, torch.finfo(torch.float32).tiny)


def segmentation_logits(inputs: DistillInputs) -> tuple[Tensor, Tensor, Tensor]:
    """Student and teacher logits float [N,C,h,w] at the finer one's size, valid bool [N,h,w].

    The teacher's are detached. A student of stride 4 is deployed upsampled: on its own cells alone it would
    not learn what lies between them, of a thin pole for instance.

    Raises:
        TrainingError: one of the two has no segmentation, or they have another number of classes.
    """
    student, teacher = inputs.student.logits, inputs.teacher.logits
    if student is None or teacher is None:
        whose = "student" if student is None else "teacher"
        raise TrainingError(f"the {whose} gives no segmentation: remove the losses that compare it")
    if student.shape[1] != teacher.shape[1]:
        raise TrainingError(
            f"the student has {student.shape[1]} classes, the teacher {teacher.shape[1]}: map the teacher's"
        )
    size = (max(student.shape[-2], teacher.shape[-2]), max(student.shape[-1], teacher.shape[-1]))
    student, teacher = (resize(full_precision(x), size, inputs.size) for x in (student, teacher.detach()))
    return student, teacher, nearest(inputs.valid, size)


def teacher_probabilities(inputs: DistillInputs, size: tuple[int, int]) -> Tensor:
    """The teacher's class probabilities, float [N,C,*size]; what they lack to one is none of the classes.

    A softmax would spread that over the classes: 1 % of road and 99 % of nothing would be sure of road.
    """
    assert inputs.teacher.logits is not None
    return resize(with_missing(inputs.teacher.logits.detach()), size, inputs.size).softmax(1)[:, :-1]


def classes_at(inputs: DistillInputs, size: tuple[int, int]) -> Tensor:
    """Class of each cell, int64 [N,*size]: the label, else the teacher's answer, else `UNKNOWN`.

    Cells that are not valid are `UNKNOWN`.
    """
    labels = nearest(inputs.target, size)
    if inputs.teacher.logits is None:
        fallback = torch.full_like(labels, UNKNOWN)
    else:
        fallback = resize(full_precision(inputs.teacher.logits.detach()), size, inputs.size).argmax(1)
    found = torch.where(labels == inputs.void_id, fallback, labels)
    return found.masked_fill(~nearest(inputs.valid, size), UNKNOWN)


@dataclass(frozen=True)
class DetectionPair:
    """Detections at the student's size and stride, the teacher's detached, and valid bool [N,h,w]."""

    student: DetectionMaps
    teacher: DetectionMaps
    valid: Tensor


def detection_maps(inputs: DistillInputs) -> DetectionPair:
    """Detection maps that can be compared cell by cell, of the thing classes that the teacher knows.

    A teacher of another stride is put on the student's grid; of a finer one, peaks stay as high as they are.

    Raises:
        TrainingError: one of the two does not detect, they have another number of classes, or the teacher
            knows none of them.
    """
    student, teacher = inputs.student.detection, inputs.teacher.detection
    if student is None or teacher is None:
        whose = "student" if student is None else "teacher"
        raise TrainingError(f"the {whose} detects nothing: remove the losses that compare detections")
    if student.heatmap.shape[1] != teacher.heatmap.shape[1]:
        raise TrainingError(
            f"the student detects {student.heatmap.shape[1]} classes, "
            f"the teacher {teacher.heatmap.shape[1]}: map the teacher's"
        )
    size = (student.heatmap.shape[-2], student.heatmap.shape[-1])
    mine, theirs = (known_channels(x.heatmap, inputs.known_things) for x in (student, teacher))
    if mine.shape[1] == 0:
        raise TrainingError("the teacher knows no thing class: remove the losses that compare detections")
    hints = DetectionMaps(
        full_precision(theirs.detach()), full_precision(teacher.size.detach()), teacher.stride
    )
    return DetectionPair(
        DetectionMaps(full_precision(mine), full_precision(student.size), student.stride),
        place_maps(hints, inputs.size, inputs.size, student.stride, flip=False),
        nearest(inputs.valid if inputs.seen is None else inputs.seen, size),
    )
