"""Boxes of the teacher as the aim of the student's, where the teacher sees an object."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import detection_maps, masked_mean
from training.models.detection.loss import giou_loss


class LocalizationSpec(TermSpec):
    """Distance to the teacher's boxes where the teacher sees an object."""

    name: Literal["localization"] = "localization"
    form: Literal["giou", "smooth_l1"] = Field(
        "giou", description="distance of two boxes: 1 - GIoU, or smooth L1 of their sides"
    )
    threshold: float = Field(0.1, ge=0, lt=1, description="cells count from this score of the teacher on")


class Localization(Term):
    """sum_i s_i d(b_S(i), b_T(i)) / sum_i s_i over valid cells i with s_i >= threshold.

    s_i is the teacher's highest score at cell i, b its box as distances l, t, r, b from the cell's centre;
    d is 1 - GIoU (`giou`; Rezatofighi et al., CVPR 2019, https://arxiv.org/abs/1902.09630) or the mean over
    the four sides of the smooth L1 distance in units of the stride (`smooth_l1`; Girshick 2015,
    https://arxiv.org/abs/1504.08083, equation 3).

    Relation to LD (Zheng et al., "Localization Distillation for Dense Object Detection", CVPR 2022,
    https://arxiv.org/abs/2102.12252): there each side is a distribution, and its KL to the teacher's is taken
    where the teacher's boxes are valuable. Our heads give one distance a side. Read as the centre of a
    Laplace distribution of unit scale, the KL between student and teacher is x + exp(-x) - 1 with
    x = |d_S - d_T|: x^2 / 2 near 0 and x - 1 far off, as smooth L1 but for a constant; the weights s_i stand
    for LD's valuable region.
    """

    Spec = LocalizationSpec
    spec: LocalizationSpec
    tasks = ("detection",)

    def forward(self, inputs: DistillInputs) -> Tensor:
        maps = detection_maps(inputs)
        scores = maps.teacher.heatmap.sigmoid().amax(1)
        weights = scores * (maps.valid & (scores >= self.spec.threshold))
        student, teacher = maps.student.size, maps.teacher.size
        if self.spec.form == "giou":
            distance = giou_loss(student.transpose(0, 1), teacher.transpose(0, 1))
        else:
            distance = F.smooth_l1_loss(student, teacher, reduction="none").mean(1)
        return masked_mean(distance, weights)
