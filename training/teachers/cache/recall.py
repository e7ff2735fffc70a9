"""A teacher's answers out of a batch, in place of the teacher."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.data.answers import Answers
from training.models.outputs import DetectionMaps
from training.teachers.base import ScoredBoxes, TeacherOutputs
from training.teachers.cache.codes import decode_codes
from training.teachers.detection_maps import render_boxes


@dataclass(frozen=True)
class Recall:
    """What is needed to know of a teacher whose answers come with the batch.

    Attributes:
        known, known_things: as in `Teacher`.
        stride: pixels a cell of detection maps that are drawn from boxes: the student's.
    """

    known: Tensor | None
    known_things: Tensor | None
    stride: int

    def outputs(self, answers: Answers, height: int, width: int) -> TeacherOutputs:
        """The answers to frames of `height` x `width` pixels, as the teacher gives them."""
        logits = detection = boxes = None
        if answers.codes is not None:
            logits = decode_codes(answers.codes, self.known)
        if answers.boxes is not None and answers.scores is not None:
            pairs = zip(answers.boxes, answers.scores, strict=True)
            boxes = [ScoredBoxes(corners, scores.float()) for corners, scores in pairs]
            detection = render_boxes(boxes, height, width, self.stride)
        return TeacherOutputs(logits, detection, boxes)

    def example(self) -> TeacherOutputs:
        """An answer of one cell: which tasks it does, in how many channels."""
        logits = detection = None
        if self.known is not None:
            logits = torch.zeros(1, len(self.known), 1, 1)
        if self.known_things is not None:
            heatmap = torch.zeros(1, len(self.known_things), 1, 1)
            detection = DetectionMaps(heatmap, torch.ones(1, 4, 1, 1), self.stride)
        return TeacherOutputs(logits, detection)
