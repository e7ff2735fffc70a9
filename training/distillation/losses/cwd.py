"""Channel-wise distillation: where in the picture each channel looks."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import LOGITS, FeatureSpec, FeatureTerm
from training.distillation.maps import masked_mean
from training.distillation.schedule import Schedule, Temperature


class CwdSpec(FeatureSpec):
    """KL between the channels' distributions over the picture; on logits unless modules are named."""

    name: Literal["cwd"] = "cwd"
    student: str = Field(LOGITS, description="student's module, a dotted path such as `decoder`, or `logits`")
    teacher: str = Field(LOGITS, description="teacher's module, a dotted path, or `logits`")
    temperature: Temperature = Field(Schedule.constant(4.0), description="T; a number or a schedule")


class Cwd(FeatureTerm):
    """T^2 / C sum_c KL(phi(F_T,c) || phi(F_S,c)), phi(F_c) = softmax over valid positions of F_c / T.

    Mean over the frames that have a valid position.

    Source: Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction" (ICCV 2021,
    https://arxiv.org/abs/2011.13256), section 3.2; T = 4 and weights of 3 on logits and 50 on features
    there.
    """

    Spec = CwdSpec
    spec: CwdSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        temperature = self.spec.temperature.at(inputs.progress)
        outside = ~valid.flatten(1)[:, None]
        log_q, log_p = (_over_positions(x.flatten(2) / temperature, outside) for x in (student, teacher))
        kl = (log_p.exp() * (log_p - log_q)).sum(2)
        return masked_mean(kl.mean(1), valid.flatten(1).any(1)) * temperature**2


def _over_positions(x: Tensor, outside: Tensor) -> Tensor:
    """log softmax over positions of [N,C,P] with those `outside` (bool [N,1,P]) left out."""
    return F.log_softmax(x.masked_fill(outside, torch.finfo(x.dtype).min / 2), dim=2)
