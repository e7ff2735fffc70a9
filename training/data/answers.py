"""A teacher's answers to a batch that were given ahead of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Answers:
    """Answers from a teacher's cache (training/teachers/cache), augmented as the batch's frames are.

    Attributes:
        answered: bool [N,h,w], cells whose pixels the teacher has seen: not padding, pasted or cut out.
        codes: uint8 [N,C+1,h,w], class probabilities (cache/codes.py); None if the teacher does not segment.
        boxes: N times float32 [K,4], x1, y1, x2, y2 in pixels; None if the teacher does not detect.
        scores: N times float16 [K,T], each box's score for every thing class; None with `boxes`.
    """

    answered: Tensor
    codes: Tensor | None = None
    boxes: list[Tensor] | None = None
    scores: list[Tensor] | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Answers:
        """A copy with every tensor changed."""
        return Answers(
            change(self.answered),
            None if self.codes is None else change(self.codes),
            None if self.boxes is None else [change(boxes) for boxes in self.boxes],
            None if self.scores is None else [change(scores) for scores in self.scores],
        )
