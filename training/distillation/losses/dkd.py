"""Decoupled knowledge distillation: the true class apart from all others."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import UNKNOWN, classes_at, masked_mean, segmentation_logits
from training.distillation.schedule import Schedule, Temperature


class DkdSpec(TermSpec):
    """Decoupled KL: the true class against the rest, and the rest among themselves."""

    name: Literal["dkd"] = "dkd"
    temperature: Temperature = Field(Schedule.constant(1.0), description="T; a number or a schedule")
    alpha: float = Field(1.0, ge=0, description="weight of the true class against the rest (TCKD)")
    beta: float = Field(0.5, ge=0, description="weight of the rest among themselves (NCKD)")


class Dkd(Term):
    """T^2 mean over pixels of alpha TCKD + beta NCKD.

    TCKD is the KL of (p_t, 1 - p_t), t the true class; NCKD the KL of the other classes' probabilities
    renormalized without t. KL = TCKD + (1 - p_t of the teacher) NCKD, so plain KL hardly teaches the rest
    where the teacher is sure.

    Source: Zhao et al., "Decoupled Knowledge Distillation" (CVPR 2022, https://arxiv.org/abs/2203.08679),
    equations 5 to 7; the defaults are the authors' for ImageNet, for CIFAR they take beta 8 and T 4. The true
    class of an unlabelled valid pixel is the teacher's answer.
    """

    Spec = DkdSpec
    spec: DkdSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, _ = segmentation_logits(inputs)
        classes = classes_at(inputs, (student.shape[-2], student.shape[-1]))
        temperature = self.spec.temperature.at(inputs.progress)
        log_q, log_p = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
        true = classes.clamp(min=0)[:, None]
        q_true, q_rest, q_others = _decouple(log_q, true)
        p_true, p_rest, p_others = _decouple(log_p, true)
        target = p_true.exp() * (p_true - q_true) + p_rest.exp() * (p_rest - q_rest)
        others = (p_others.exp() * (p_others - q_others)).sum(1)
        loss = self.spec.alpha * target[:, 0] + self.spec.beta * others
        return masked_mean(loss, classes != UNKNOWN) * temperature**2


def _decouple(log_p: Tensor, true: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p of the class `true` [N,1,h,w], of all others together [N,1,h,w], of each other [N,C,h,w].

    The last is renormalized over the others; a very low finite value stands at the true class itself.
    """
    others = log_p.scatter(1, true, torch.finfo(log_p.dtype).min / 2)
    rest = others.logsumexp(1, keepdim=True)
    return log_p.gather(1, true), rest, others - rest
