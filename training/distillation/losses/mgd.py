"""Masked generative distillation: the student's map, with holes, must suffice to make the teacher's."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm, Site
from training.distillation.maps import masked_mean


class MgdSpec(FeatureSpec):
    """Squared error of the teacher's map generated from the masked student's."""

    name: Literal["mgd"] = "mgd"
    masked: float = Field(0.65, ge=0, lt=1, description="lambda: share of positions that are hidden")


class Mgd(FeatureTerm):
    """Mean over valid positions and channels of (F_T - G(M * r(F_S)))^2.

    r is the adapter, M a random mask of positions, drawn at each step (and 0 at invalid ones), G two learned
    3x3 convolutions with a ReLU between: the dearest loss of all, cheap only on coarse maps.

    Source: Yang et al., "Masked Generative Distillation" (ECCV 2022, https://arxiv.org/abs/2205.01529),
    section 3. There the sum over positions and channels is taken: the paper's weight of 2e-5 is 2e-5 C h w
    here. Its masked share is 0.65 for one-stage detectors and 0.75 for segmentation.
    """

    Spec = MgdSpec
    spec: MgdSpec

    def __init__(self, spec: MgdSpec, site: Site) -> None:
        super().__init__(spec, site)
        self.generation = nn.Sequential(
            nn.Conv2d(site.channels, site.channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(site.channels, site.channels, 3, padding=1),
        )

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        shown = valid & (torch.rand(valid.shape, device=student.device) >= self.spec.masked)
        made = self.generation(student * shown[:, None])
        return masked_mean((made - teacher).square().mean(1), valid)
