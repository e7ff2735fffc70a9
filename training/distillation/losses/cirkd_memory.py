"""Cross-image relation to a memory: how each pixel stands to pixels and regions of earlier batches."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm, Site
from training.distillation.losses.cirkd import draw
from training.distillation.losses.class_memory import ClassMemory
from training.distillation.losses.kl import kl_map
from training.distillation.maps import UNKNOWN, classes_at, masked_mean
from training.distillation.schedule import Schedule, Temperature


class CirkdMemorySpec(FeatureSpec):
    """Similarities to the teacher's pixels and regions of earlier batches."""

    name: Literal["cirkd_memory"] = "cirkd_memory"
    temperature: Temperature = Field(Schedule.constant(0.1), description="tau; a number or a schedule")
    pixel: float = Field(1.0, ge=0, description="weight of the relation to stored pixels")
    region: float = Field(1.0, ge=0, description="weight of the relation to stored regions")
    anchors: int = Field(512, ge=1, description="pixels of a batch that are compared")
    pixel_slots: int = Field(64, ge=1, description="pixels stored of each class")
    region_slots: int = Field(32, ge=1, description="regions stored of each class")
    new_pixels: int = Field(8, ge=1, description="pixels of each class stored from a batch")


class CirkdMemory(FeatureTerm):
    """Mean over pixels i of KL(softmax(t_i V / tau) || softmax(s_i V / tau)), V stored pixels, then regions.

    t_i and s_i are the teacher's and the adapted student's feature at pixel i, of length 1; V the stored unit
    vectors: the teacher's features at pixels, and their means over each class in each frame. A batch is
    stored before it is compared, in training mode only.

    Source: Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic Segmentation" (CVPR 2022,
    https://arxiv.org/abs/2204.06986), section 3.3, memory-based pixel-to-pixel and pixel-to-region
    distillation. There: 20,000 pixels and 2,000 regions of each class on a GPU, of which 4,096 and 1,024 are
    compared with all pixels; here `anchors` random pixels with the whole, smaller, memory. The class of an
    unlabelled valid pixel is the teacher's answer.
    """

    Spec = CirkdMemorySpec
    spec: CirkdMemorySpec

    def __init__(self, spec: CirkdMemorySpec, site: Site) -> None:
        super().__init__(spec, site)
        self.pixels = ClassMemory(site.classes, spec.pixel_slots, site.channels)
        self.regions = ClassMemory(site.classes, spec.region_slots, site.channels)

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, _ = self.maps(inputs, adapt=False)
        teacher = F.normalize(teacher.flatten(2), dim=1)
        classes = classes_at(inputs, (student.shape[-2], student.shape[-1])).flatten(1)
        if self.training:
            self._store(teacher, classes)
        known = classes != UNKNOWN
        places = draw(known.flatten()[None], self.spec.anchors)[0]
        known = known.flatten()[places]
        s, t = at_places(student.flatten(2), places), at_places(teacher, places)
        if self.adapter is not None:  # only the anchors go through it: a 1x1 convolution sees no neighbours
            s = self.adapter(s[:, :, None, None]).flatten(1)
        s = F.normalize(s, dim=1)
        temperature = self.spec.temperature.at(inputs.progress)
        pixel, region = (_relation(s, t, m.vectors(), temperature) for m in (self.pixels, self.regions))
        return masked_mean(self.spec.pixel * pixel + self.spec.region * region, known)

    def _store(self, features: Tensor, classes: Tensor) -> None:
        """Put unit features [N,C,P] of `classes` int64 [N,P] into the memories."""
        order = torch.randperm(classes.numel(), device=classes.device)
        shuffled = classes.flatten()[order]
        present = F.one_hot(classes + 1, len(self.pixels.bank) + 1)[:, :, 1:].to(features.dtype)
        regions = F.normalize(features @ present, dim=1)
        for index in shuffled[shuffled != UNKNOWN].unique().tolist():
            places = order[(shuffled == index).nonzero()[: self.spec.new_pixels, 0]]
            self.pixels.push(index, at_places(features, places))
            self.regions.push(index, regions[present[:, :, index].any(1), :, index])


def at_places(x: Tensor, places: Tensor) -> Tensor:
    """Vectors of [N,C,P] at flat positions int64 [K] in 0..N*P-1: [K,C]."""
    return x[places // x.shape[2], :, places % x.shape[2]]


def _relation(s: Tensor, t: Tensor, stored: Tensor, temperature: float) -> Tensor:
    """KL of each pair of unit vectors' similarities to `stored` [K,C]; s, t float [P,C]: [P]."""
    if len(stored) == 0:
        return s.sum(1) * 0.0
    stored = stored.to(t.dtype)
    return kl_map((s @ stored.T) / temperature, (t @ stored.T) / temperature, 1.0)
