"""FitNets: the teacher's feature map itself as the aim."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm
from training.distillation.maps import masked_mean


class HintSpec(FeatureSpec):
    """Mean squared error of feature maps through a learned adapter."""

    name: Literal["hint"] = "hint"


class Hint(FeatureTerm):
    """Mean over valid positions and channels of (r(F_S) - F_T)^2, r the adapter.

    Source: Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015, https://arxiv.org/abs/1412.6550),
    equation 3, with the mean for half the sum.
    """

    Spec = HintSpec
    spec: HintSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        return masked_mean((student - teacher).square().mean(1), valid)
