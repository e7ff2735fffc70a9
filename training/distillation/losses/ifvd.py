"""Intra-class feature variation: how each pixel stands to the mean of its class."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm, Site
from training.distillation.maps import UNKNOWN, classes_at, masked_mean


class IfvdSpec(FeatureSpec):
    """Distance of the maps of similarity to the class prototypes."""

    name: Literal["ifvd"] = "ifvd"


class Ifvd(FeatureTerm):
    """Mean over pixels of (M_S - M_T)^2, M the cosine of a pixel's feature and its class's mean in the frame.

    Source: Wang et al., "Intra-class Feature Variation Distillation for Semantic Segmentation" (ECCV 2020,
    https://doi.org/10.1007/978-3-030-58571-6_21), section 3; prototypes by frame as in the authors'
    code. The class of an unlabelled valid pixel is the teacher's answer. Needs no adapter.
    """

    Spec = IfvdSpec
    spec: IfvdSpec
    matches_channels = False

    def __init__(self, spec: IfvdSpec, site: Site) -> None:
        super().__init__(spec, site)
        self.classes = site.classes

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, _ = self.maps(inputs)
        classes = classes_at(inputs, (student.shape[-2], student.shape[-1])).flatten(1)
        known = classes != UNKNOWN
        members = F.one_hot(classes.clamp(min=0), self.classes).to(student.dtype) * known[..., None]
        m_s, m_t = (_variation(x.flatten(2), members) for x in (student, teacher))
        return masked_mean((m_s - m_t).square(), known)


def _variation(x: Tensor, members: Tensor) -> Tensor:
    """Cosine of each pixel's feature [N,C,P] and its class's mean; `members` one-hot [N,P,K]: [N,P]."""
    prototypes = F.normalize(x @ members, dim=1)  # the cosine does not tell the sum from the mean
    along = (prototypes.transpose(1, 2) @ x * members.transpose(1, 2)).sum(1)
    return along / x.norm(dim=1).clamp(min=1e-12)
