"""A cached answer, brought to the augmented frame that the student sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.answers import Answers
from training.data.trace import Trace, coordinates
from training.teachers.cache.answer import Answer
from training.teachers.cache.geometry import answered_cells, sample_codes

# Thinner boxes may be empty after rounding, which albumentations refuses.
_THINNEST = 0.01


@dataclass(frozen=True)
class Followed:
    """The answer to one augmented frame; see `training.data.answers.Answers`, without the batch."""

    answered: NDArray[np.bool_]
    codes: NDArray[np.uint8] | None
    boxes: NDArray[np.float32] | None
    scores: NDArray[np.float16] | None


def start(answer: Answer, height: int, width: int) -> Trace:
    """What goes through the augmentation of a frame of `height` x `width` pixels beside its labels."""
    if answer.boxes is None:
        return Trace(coordinates(height, width), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    rows = np.flatnonzero((answer.boxes[:, 2:] - answer.boxes[:, :2] > _THINNEST).all(1))
    return Trace(coordinates(height, width), answer.boxes[rows], rows)


def follow(answer: Answer, trace: Trace, frame: tuple[int, int], size: tuple[int, int]) -> Followed:
    """The answer after augmentation.

    Args:
        trace: what `start` gave, after augmentation.
        frame: height, width of the whole frame in pixels.
        size: height, width of the answer in cells.
    """
    return Followed(
        answered_cells(trace.came_from, size),
        None if answer.codes is None else sample_codes(answer.codes, trace.came_from, frame, size),
        None if answer.boxes is None else trace.boxes,
        None if answer.scores is None else answer.scores[trace.rows],
    )


def collate_followed(items: Sequence[Followed]) -> Answers:
    """One teacher's answers to a batch."""
    codes = [item.codes for item in items if item.codes is not None]
    boxes = [torch.from_numpy(item.boxes) for item in items if item.boxes is not None]
    scores = [torch.from_numpy(item.scores) for item in items if item.scores is not None]
    return Answers(
        torch.from_numpy(np.stack([item.answered for item in items])),
        torch.from_numpy(np.stack(codes)) if codes else None,
        boxes or None,
        scores or None,
    )
