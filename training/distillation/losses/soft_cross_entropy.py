"""Cross-entropy to the teacher's probabilities instead of to a label."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import masked_mean, segmentation_logits
from training.distillation.schedule import Schedule, Temperature


class SoftCrossEntropySpec(TermSpec):
    """Cross-entropy H(P_T, P_S) to the teacher's softened output."""

    name: Literal["soft_cross_entropy"] = "soft_cross_entropy"
    temperature: Temperature = Field(Schedule.constant(1.0), description="T; a number or a schedule")


class SoftCrossEntropy(Term):
    """T^2 mean over valid pixels of H(P_T, P_S) = -sum_c P_T(c) log P_S(c), P = softmax(logits / T).

    Source: Hinton, Vinyals, Dean 2015 (https://arxiv.org/abs/1503.02531), section 2. It is the KL divergence
    plus the teacher's entropy: the same gradient, but a value that does not reach 0.
    """

    Spec = SoftCrossEntropySpec
    spec: SoftCrossEntropySpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = segmentation_logits(inputs)
        temperature = self.spec.temperature.at(inputs.progress)
        log_q = F.log_softmax(student / temperature, dim=1)
        per_pixel = -((teacher / temperature).softmax(1) * log_q).sum(1)
        return masked_mean(per_pixel, valid) * temperature**2
