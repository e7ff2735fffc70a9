"""Jaccard metric loss: the IoU with soft labels."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import full_precision, masked_mean, segmentation_logits
from training.distillation.schedule import Schedule, Temperature

SMOOTH = 1e-3  # added to intersection and union, as in the authors' code
PRESENT = 0.01  # highest probability from which a class is present in the batch


def jaccard_metric(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean over the classes present of 1 - (|x| + |y| - |x - y|) / (|x| + |y| + |x - y|), L1 norms.

    x are the student's probabilities of a class over the batch's valid pixels, y the target's. On hard
    targets it is the soft Jaccard loss; on soft ones it is, unlike that, least where x = y.

    Source: Wang, Ning, Blaschko, "Jaccard Metric Losses: Optimizing the Jaccard Index with Soft Labels"
    (NeurIPS 2023, https://arxiv.org/abs/2302.05666), section 3, JML_1.

    Args:
        logits: float [N,C,H,W].
        target: probabilities float [N,C,H,W], or class ids int64 [N,H,W] (any id where not valid).
        valid: bool [N,H,W]; 0 is returned where no pixel counts.
    """
    classes = logits.shape[1]
    x = full_precision(logits).softmax(1).movedim(1, -1)[valid]
    if target.is_floating_point():
        y = target.to(x.dtype).movedim(1, -1)[valid]
    else:
        y = F.one_hot(target[valid], classes).to(x.dtype)
    difference = (x - y).abs().sum(0)
    total = x.sum(0) + y.sum(0)
    intersection, union = (total - difference) / 2, (total + difference) / 2
    loss = 1 - (intersection + SMOOTH) / (union + SMOOTH)
    present = y.amax(0) > PRESENT if len(y) else y.new_zeros(classes)
    return masked_mean(loss, present)


class JaccardSpec(TermSpec):
    """Soft IoU with the teacher's probabilities."""

    name: Literal["jaccard"] = "jaccard"
    temperature: Temperature = Field(Schedule.constant(1.0), description="T of the teacher's probabilities")


class Jaccard(Term):
    """`jaccard_metric` with the teacher's softened probabilities as the target."""

    Spec = JaccardSpec
    spec: JaccardSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = segmentation_logits(inputs)
        target = (teacher / self.spec.temperature.at(inputs.progress)).softmax(1)
        return jaccard_metric(student, target, valid)
