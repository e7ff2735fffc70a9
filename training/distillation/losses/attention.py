"""Spatial attention transfer: where the network is active."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm
from training.distillation.maps import masked_mean


class AttentionSpec(FeatureSpec):
    """Distance of the normalized activation maps."""

    name: Literal["attention"] = "attention"
    power: float = Field(2.0, gt=0, description="p of |activation|^p")


class Attention(FeatureTerm):
    """Mean over frames of ||Q_S / |Q_S| - Q_T / |Q_T| ||^2, Q = sum over channels of |F|^p as a vector.

    Invalid positions are left out. Between 0 and 2; the authors' code takes the mean over positions instead
    of the sum, so that their weight of 1e3 is 1e3 / (h w) here. Needs no adapter.

    Source: Zagoruyko, Komodakis, "Paying More Attention to Attention" (ICLR 2017,
    https://arxiv.org/abs/1612.03928), section 3.1 and equation 2.
    """

    Spec = AttentionSpec
    spec: AttentionSpec
    matches_channels = False

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        q, p = (
            F.normalize((x.abs().pow(self.spec.power).mean(1) * valid).flatten(1), dim=1)
            for x in (student, teacher)
        )
        return masked_mean((q - p).square().sum(1), valid.flatten(1).any(1))
