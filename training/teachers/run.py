"""A run trained here as a teacher."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.models.outputs import DetectionMaps
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.class_mapping import ClassMapping
from training.teachers.detection_maps import LOW_LOGIT


class RunTeacher(Teacher):
    """A network that returns `Outputs`; `model` is that network.

    Args:
        classes: from the run's classes to the student's; None if it does not segment.
        things: from the run's thing classes to the student's; None if it does not detect.
        recipe: what the run was trained by, as plain JSON values; part of what its answer depends on.
    """

    def __init__(
        self,
        model: nn.Module,
        classes: ClassMapping | None,
        things: ClassMapping | None,
        recipe: dict[str, Any],
    ) -> None:
        super().__init__(classes and classes.known, things and things.known)
        self.model = model
        self.classes = classes
        self.things = things
        self._recipe = recipe

    def predict(self, images: Tensor) -> TeacherOutputs:
        out = self.model(images)
        logits = detection = None
        if self.classes is not None and out.logits is not None:
            logits = self.classes.log_probs(out.logits.float().log_softmax(1))
        if self.things is not None and out.detection is not None:
            detection = _mapped(out.detection, self.things)
        return TeacherOutputs(logits, detection)

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "run",
            "model": self._recipe,
            "classes": self.classes and self.classes.channels,
            "things": self.things and self.things.channels,
        }


def _mapped(maps: DetectionMaps, things: ClassMapping) -> DetectionMaps:
    """Heatmap in the student's thing classes: of several, the largest logit; `LOW_LOGIT` where unknown."""
    heat = things.scores(maps.heatmap.float().movedim(1, -1), exclusive=False).movedim(-1, 1)
    unknown = torch.tensor([not known for known in things.known], device=heat.device)
    return DetectionMaps(heat.masked_fill(unknown[:, None, None], LOW_LOGIT), maps.size.float(), maps.stride)
