"""SKD's pair-wise distillation: how alike each two places of a picture are."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm
from training.distillation.maps import masked_mean


class PairwiseSpec(FeatureSpec):
    """Distance of the affinity matrices between places of a frame."""

    name: Literal["skd"] = "skd"
    grid: int = Field(16, ge=2, description="maps are pooled to at most so many rows and columns of places")


class Pairwise(FeatureTerm):
    """Mean over places i, j of a frame of (a_S(i,j) - a_T(i,j))^2, a(i,j) the cosine of their features.

    Source: Liu et al., "Structured Knowledge Distillation for Semantic Segmentation" (CVPR 2019,
    https://arxiv.org/abs/1903.04197), section 3.1, pair-wise distillation; nodes pooled from several pixels
    as in the journal version. The full matrix has (h w)^2 entries, so places are means over a grid of at most
    `grid` x `grid` cells, of their valid positions; cells with none do not count. Needs no adapter.
    """

    Spec = PairwiseSpec
    spec: PairwiseSpec
    matches_channels = False

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        grid = (min(self.spec.grid, valid.shape[-2]), min(self.spec.grid, valid.shape[-1]))
        share = valid[:, None].to(student.dtype)
        known = F.adaptive_avg_pool2d(share, grid).flatten(1) > 0
        # Not divided by the share of valid positions: the cosine does not see it.
        a_s, a_t = (_affinity(F.adaptive_avg_pool2d(x * share, grid)) for x in (student, teacher))
        return masked_mean((a_s - a_t).square(), known[:, :, None] & known[:, None, :])


def _affinity(x: Tensor) -> Tensor:
    """Cosines between all places of [N,C,h,w]: [N,hw,hw]."""
    x = F.normalize(x.flatten(2), dim=1)
    return x.transpose(1, 2) @ x
