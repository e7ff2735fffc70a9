"""Several teachers as one, and one teacher's mean over views of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from training.errors import TrainingError
from training.models.outputs import DetectionMaps
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.merge import PlacedLogits, merge_logits, merge_maps, place_logits, shares
from training.teachers.views import make_view, place_maps


def _any(flags: Sequence[Tensor | None]) -> list[bool] | None:
    """Per class, whether anyone knows it; None if nobody does the task."""
    rows = [item.tolist() for item in flags if item is not None]
    return [any(column) for column in zip(*rows, strict=True)] if rows else None


class Ensemble(Teacher):
    """Weighted mean of several teachers' probabilities (Hinton et al. 2015, section 3).

    Members may differ in stride and in what they know: a class is averaged over those who know it, a task
    over those who do it. Detection maps are brought to the finest member's stride.

    Raises:
        TrainingError: fewer members than two, or not one weight for each.
    """

    def __init__(self, members: Sequence[Teacher], weights: Sequence[float]) -> None:
        if len(members) < 2 or len(members) != len(weights):
            raise TrainingError(f"an ensemble of {len(members)} teachers with {len(weights)} weights")
        super().__init__(_any([m.known for m in members]), _any([m.known_things for m in members]))
        self.members = nn.ModuleList(members)
        self.weights = list(weights)

    def predict(self, images: Tensor) -> TeacherOutputs:
        answers = [member(images) for member in self.members]
        frame = (images.shape[-2], images.shape[-1])
        return TeacherOutputs(self._logits(answers, frame), self._detection(answers, frame))

    def _logits(self, answers: list[TeacherOutputs], frame: tuple[int, int]) -> Tensor | None:
        said = [
            (a.logits, m.known, w)
            for a, m, w in zip(answers, self.members, self.weights, strict=True)
            if a.logits is not None and m.known is not None
        ]
        if not said:
            return None
        logits, known, weights = zip(*said, strict=True)
        placed = [place_logits(item, frame, frame, flip=False) for item in logits]
        return merge_logits(placed, shares(known, weights), frame)

    def _detection(self, answers: list[TeacherOutputs], frame: tuple[int, int]) -> DetectionMaps | None:
        said = [
            (a.detection, m.known_things, w)
            for a, m, w in zip(answers, self.members, self.weights, strict=True)
            if a.detection is not None and m.known_things is not None
        ]
        if not said:
            return None
        maps, known, weights = zip(*said, strict=True)
        stride = min(item.stride for item in maps)
        placed = [place_maps(item, frame, frame, stride, flip=False) for item in maps]
        return merge_maps(placed, shares(known, weights))

    def settings(self) -> dict[str, Any]:
        return {"kind": "ensemble", "weights": self.weights, "members": [m.settings() for m in self.members]}


class AugmentedTeacher(Teacher):
    """The mean of a teacher's answers to the frame at several scales, mirrored or not; that one is `teacher`.

    Segmentation comes at the largest scale's resolution, detection on the grid of the frame as it is.
    """

    def __init__(self, teacher: Teacher, scales: Sequence[float], flip: bool) -> None:
        flags = (teacher.known, teacher.known_things)
        super().__init__(*(None if item is None else item.tolist() for item in flags))
        self.teacher = teacher
        self.scales = tuple(scales)
        self.flip = flip

    def predict(self, images: Tensor) -> TeacherOutputs:
        frame = (images.shape[-2], images.shape[-1])
        logits: list[PlacedLogits] = []
        maps: list[DetectionMaps] = []
        for scale in self.scales:
            for flip in (False, True) if self.flip else (False,):
                view = make_view(images, scale, flip)
                seen = (view.shape[-2], view.shape[-1])
                answer = self.teacher(view)
                if answer.logits is not None:
                    logits.append(place_logits(answer.logits, seen, frame, flip))
                if answer.detection is not None:
                    maps.append(place_maps(answer.detection, seen, frame, answer.detection.stride, flip))
        return TeacherOutputs(
            merge_logits(logits, self._equal(self.known, len(logits)), frame) if logits else None,
            merge_maps(maps, self._equal(self.known_things, len(maps))) if maps else None,
        )

    @staticmethod
    def _equal(known: Tensor | None, count: int) -> Tensor:
        assert known is not None  # it answered, so it knows
        return shares([known] * count, [1.0] * count)

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "tta",
            "scales": self.scales,
            "flip": self.flip,
            "teacher": self.teacher.settings(),
        }
