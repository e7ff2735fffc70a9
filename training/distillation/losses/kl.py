"""KL divergence between softened class probabilities: the loss of knowledge distillation."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Site, Term, TermSpec
from training.distillation.maps import (
    UNKNOWN,
    classes_at,
    full_precision,
    masked_mean,
    segmentation_logits,
    teacher_probabilities,
)
from training.distillation.processes import over_processes
from training.distillation.schedule import Schedule, Temperature
from training.errors import TrainingError


def kl_map(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of each pixel: [N,C,H,W] logits -> [N,H,W].

    T^2 keeps the gradient's size independent of T. No gradient flows to the teacher.
    """
    log_q = F.log_softmax(full_precision(student) / temperature, dim=1)
    log_p = F.log_softmax(full_precision(teacher.detach()) / temperature, dim=1)
    return (log_p.exp() * (log_p - log_q)).sum(1) * temperature**2


class KlSpec(TermSpec):
    """KL divergence to the teacher's softened output."""

    name: Literal["kl"] = "kl"
    temperature: Temperature = Field(Schedule.constant(1.0), description="T; a number or a schedule")
    class_weights: tuple[float, ...] | None = Field(
        None, description="weight of a pixel by its class (label, else the teacher's answer), in order of id"
    )
    balance: float = Field(
        0.0, ge=0, le=1, description="pixels also weigh n^-balance, n pixels of their class in the batch"
    )
    confidence: bool = Field(False, description="pixels also weigh the teacher's highest probability")


class Kl(Term):
    """sum_i w_i T^2 KL(P_T(i) || P_S(i)) / sum_i w_i over valid pixels i; w = 1 unless weighted.

    Source: Hinton, Vinyals, Dean 2015 (https://arxiv.org/abs/1503.02531), section 2, per pixel as in Liu et
    al. (CVPR 2019, https://arxiv.org/abs/1903.04197), equation 2. With `balance: 1` every class present has
    the same total weight, however few its pixels.
    """

    Spec = KlSpec
    spec: KlSpec

    def __init__(self, spec: KlSpec, site: Site) -> None:
        super().__init__(spec, site)
        given = spec.class_weights
        if given is not None and len(given) != site.classes:
            raise TrainingError(f"kl.class_weights: {len(given)} numbers for {site.classes} classes")
        self.register_buffer(
            "class_weights", None if given is None else torch.tensor(given), persistent=False
        )

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = segmentation_logits(inputs)
        per_pixel = kl_map(student, teacher, self.spec.temperature.at(inputs.progress))
        return masked_mean(per_pixel, self._weights(inputs, teacher, valid))

    def _weights(self, inputs: DistillInputs, teacher: Tensor, valid: Tensor) -> Tensor:
        """Weight of each pixel, float [N,h,w]; 0 where not valid."""
        weights = valid.to(teacher.dtype)
        if self.spec.confidence:
            sure = teacher_probabilities(inputs, (teacher.shape[-2], teacher.shape[-1])).amax(1)
            weights = weights * sure.to(teacher.dtype)
        if self.class_weights is None and self.spec.balance == 0:
            return weights
        classes = classes_at(inputs, (teacher.shape[-2], teacher.shape[-1]))
        known = classes.clamp(min=0)
        if self.class_weights is not None:
            weights = weights * self.class_weights.to(teacher.dtype)[known]
        if self.spec.balance > 0:
            counts = over_processes(known[classes != UNKNOWN].bincount(minlength=teacher.shape[1]))
            weights = weights * counts.clamp(min=1).to(teacher.dtype).pow(-self.spec.balance)[known]
        return weights
