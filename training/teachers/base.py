"""What every teacher is and what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.models.outputs import Outputs


@dataclass
class ScoredBoxes:
    """Boxes of one frame, each with a score for every thing class.

    Attributes:
        boxes: float [K,4], x1, y1, x2, y2 in pixels of the frame.
        scores: float [K,T], 0..1, one column for each thing class in order of id.
    """

    boxes: Tensor
    scores: Tensor


@dataclass
class TeacherOutputs(Outputs):
    """A teacher's answer; as a network's, and the boxes from which its detection maps are drawn.

    `logits` are log-probabilities [N,C,h,w] that may sum to less than one: what is missing belongs to none
    of the student's classes. A softmax over them gives the distribution within the student's classes.

    Attributes:
        boxes: one for each frame, from teachers that say boxes themselves; None where only maps are known.
    """

    boxes: list[ScoredBoxes] | None = None


class Teacher(nn.Module, ABC):
    """A frozen network that speaks the student's class set.

    `forward(images float [N,3,H,W], RGB, 0..255)` returns `TeacherOutputs`, always without gradients and in
    eval mode, `train()` notwithstanding.

    Attributes:
        known: bool [C], the classes that its segmentation can say; None if it does not segment. To losses on
            probabilities the others are classes of probability 0: what is labelled as one of them is not
            compared, but the student learns that nothing else is one.
        known_things: bool [T], the thing classes that its detection can say; None if it does not detect. It
            says nothing of the others, neither that there are some nor that there are none.
    """

    known: Tensor | None
    known_things: Tensor | None

    def __init__(self, known: Sequence[bool] | None, known_things: Sequence[bool] | None) -> None:
        super().__init__()
        for name, flags in (("known", known), ("known_things", known_things)):
            value = None if flags is None else torch.tensor(list(flags), dtype=torch.bool)
            self.register_buffer(name, value, persistent=False)

    @abstractmethod
    def predict(self, images: Tensor) -> TeacherOutputs:
        """The answer for images float [N,3,H,W], RGB, 0..255."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything besides the weights that its answer depends on, as plain JSON values."""

    def forward(self, images: Tensor) -> TeacherOutputs:
        with torch.no_grad():
            return self.predict(images)

    def train(self, mode: bool = True) -> Teacher:
        """Stay in eval mode whatever the training loop asks for."""
        super().train(False)
        return self
