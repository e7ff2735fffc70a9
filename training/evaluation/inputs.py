"""From what a network gives to what the metrics count: checked tensors at the label's resolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.errors import TrainingError
from training.models.outputs import upsample


def log_probabilities(logits: Any, size: tuple[int, int]) -> Tensor:
    """Class log-probabilities at the label's resolution.

    Args:
        logits: float [N,C,h,w], torch or numpy, at any stride; brought to `size` bilinearly (half-pixel
            centres, as deployed) before the softmax.
        size: height, width of the label.

    Returns:
        float32 [N,C,H,W].

    Raises:
        TrainingError: not four dimensions, or values that are not finite.
    """
    values = torch.as_tensor(logits).detach().float()
    if values.ndim != 4:
        raise TrainingError(f"evaluation: logits must be [N,C,h,w], found {list(values.shape)}")
    if not torch.isfinite(values).all():
        raise TrainingError(
            "evaluation: logits hold NaN or infinite values: the network has diverged; lower optimizer.lr"
        )
    if values.shape[-2:] != size:
        values = upsample(values, *size)
    return values.log_softmax(1)


def checked_target(target: Any, classes: int, void_id: int) -> Tensor:
    """Label ids as int64 [N,H,W].

    Raises:
        TrainingError: not three dimensions, or an id that is neither a class nor void.
    """
    ids = torch.as_tensor(target).long()
    if ids.ndim != 3:
        raise TrainingError(f"evaluation: masks must be [N,H,W], found {list(ids.shape)}")
    unknown = ids[(ids != void_id) & ((ids < 0) | (ids >= classes))]
    if len(unknown):
        raise TrainingError(
            f"evaluation: a mask holds class id {int(unknown[0])}, but the classes are 0 to {classes - 1} "
            f"and void is {void_id}; map the data set's ids to this class set first"
        )
    return ids
