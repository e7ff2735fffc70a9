"""KL divergence between detection heatmaps."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.losses.kl import kl_map
from training.distillation.maps import detection_maps
from training.distillation.processes import process_weight
from training.distillation.schedule import Schedule, Temperature


class HeatmapSpec(TermSpec):
    """KL divergence to the teacher's centre heatmap."""

    name: Literal["heatmap"] = "heatmap"
    form: Literal["bernoulli", "softmax"] = Field(
        "bernoulli", description="each class on its own, or one distribution of the classes and background"
    )
    temperature: Temperature = Field(Schedule.constant(1.0), description="T; a number or a schedule")
    focus: float = Field(
        0.0,
        ge=0,
        description="of `bernoulli`: cells also weigh |P_T - P_S|^focus; 2 forgives small differences",
    )

    @model_validator(mode="after")
    def _focus_is_usable(self) -> HeatmapSpec:
        if self.focus > 0 and self.form != "bernoulli":
            raise ValueError("focus is for form: bernoulli")
        if 0 < self.focus < 1:
            raise ValueError("focus is 0 or at least 1: below, its slope is infinite where both agree")
        return self


class Heatmap(Term):
    """T^2 sum over valid cells of KL(P_T || P_S) / max(1, sum over them of the teacher's highest score).

    Of the thing classes that the teacher knows: what it does not know, the labels alone teach.

    `bernoulli`: P of each cell and class is Bernoulli(sigmoid(z / T)), the KL summed over the classes.
    `softmax`: P of each cell is softmax of (0, z) / T, where 0 is the background's logit; with one class the
    same as `bernoulli`. The divisor is about the number of cells that hold an object, as focal losses divide
    (Lin et al. 2017, https://arxiv.org/abs/1708.02002, section 4); a mean over all cells, most of them empty,
    would teach nearly nothing.

    `focus` is the modulating factor of Quality Focal Loss (Li et al., "Generalized Focal Loss", NeurIPS 2020,
    https://arxiv.org/abs/2006.04388, equation 4), which teaches soft scores: without it the many cells on the
    slopes around a centre outweigh the centre, and peaks flatten.

    Source: Hinton, Vinyals, Dean 2015 (https://arxiv.org/abs/1503.02531), on the heatmap of CenterNet (Zhou
    et al. 2019, https://arxiv.org/abs/1904.07850), section 3.
    """

    Spec = HeatmapSpec
    spec: HeatmapSpec
    tasks = ("detection",)

    def forward(self, inputs: DistillInputs) -> Tensor:
        maps = detection_maps(inputs)
        objects = (maps.teacher.heatmap.sigmoid().amax(1) * maps.valid).sum()
        temperature = self.spec.temperature.at(inputs.progress)
        if self.spec.form == "softmax":
            pair = (maps.student.heatmap, maps.teacher.heatmap)
            per_cell = kl_map(*(F.pad(z, (0, 0, 0, 0, 1, 0)) for z in pair), temperature)
        else:
            student, teacher = maps.student.heatmap / temperature, maps.teacher.heatmap / temperature
            each = bernoulli_kl(student, teacher) * temperature**2
            if self.spec.focus > 0:
                each = each * (teacher.sigmoid() - student.sigmoid()).abs().pow(self.spec.focus)
            per_cell = each.sum(1)
        return (per_cell * maps.valid).sum() / objects.clamp(min=1.0) * process_weight(objects, 1)


def bernoulli_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(Bernoulli(sigmoid(teacher)) || Bernoulli(sigmoid(student))) elementwise, on logits."""
    p = teacher.sigmoid()
    on = F.logsigmoid(teacher) - F.logsigmoid(student)
    off = F.logsigmoid(-teacher) - F.logsigmoid(-student)
    return p * on + (1 - p) * off
