"""Teachers that answer what they are told to, and answers in another size to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from training.models.outputs import upsample
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.log_probs import with_missing


class FakeTeacher(Teacher):
    """Answers `answer(images)`; counts the frames it was asked about."""

    def __init__(
        self,
        answer: Callable[[Tensor], TeacherOutputs],
        known: list[bool] | None = None,
        known_things: list[bool] | None = None,
        name: str = "fake",
    ) -> None:
        super().__init__(known, known_things)
        self.answer = answer
        self.name = name
        self.asked = 0

    def predict(self, images: Tensor) -> TeacherOutputs:
        self.asked += len(images)
        return self.answer(images)

    def settings(self) -> dict[str, Any]:
        return {"kind": "fake", "name": self.name}


def color_logits(images: Tensor, classes: int, stride: int = 4) -> Tensor:
    """Log-probabilities that depend on the colours of each cell, float [N,classes,H/stride,W/stride]."""
    cells = torch.nn.functional.avg_pool2d(images / 255, stride)
    mix = torch.linspace(-4, 4, classes * 3).view(classes, 3).roll(1, 0).sin() * 12
    return torch.einsum("nchw,kc->nkhw", cells - 0.5, mix).log_softmax(1)


def resize(log_probs: Tensor, height: int, width: int) -> Tensor:
    """Bilinear in the log domain (as segmentation logits are), the sum of all classes and missing mass kept.

    Plain interpolation of log-probabilities would lose mass wherever neighbours disagree.
    """
    if log_probs.shape[-2:] == (height, width):
        return log_probs
    full = upsample(with_missing(log_probs), height, width)
    return full.log_softmax(1)[:, :-1]
