"""DIST: what correlates with the teacher's answer is good enough."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import segmentation_logits
from training.distillation.processes import process_weight
from training.distillation.schedule import Schedule, Temperature


def pearson(x: Tensor, y: Tensor, dim: int) -> Tensor:
    """Pearson correlation of `x` and `y` (same shape) along `dim`, which is dropped; 0 for constant data."""
    x = x - x.mean(dim, keepdim=True)
    y = y - y.mean(dim, keepdim=True)
    return (x * y).sum(dim) / (x.norm(dim=dim) * y.norm(dim=dim) + 1e-8)


class DistSpec(TermSpec):
    """Pearson correlation with the teacher between classes and within each class."""

    name: Literal["dist"] = "dist"
    temperature: Temperature = Field(Schedule.constant(1.0), description="tau; a number or a schedule")
    inter: float = Field(1.0, ge=0, description="beta: weight of the relation between classes at a pixel")
    intra: float = Field(1.0, ge=0, description="gamma: weight of the relation between pixels in a class")


class Dist(Term):
    """tau^2 [beta mean_i (1 - r(P_S(i,:), P_T(i,:))) + gamma mean_c (1 - r(P_S(:,c), P_T(:,c)))].

    r is Pearson's correlation, i runs over the batch's valid pixels, c over the classes. Blind to scale and
    shift of the probabilities.

    Source: Huang et al., "Knowledge Distillation from A Stronger Teacher" (NeurIPS 2022,
    https://arxiv.org/abs/2205.10536), section 4; for segmentation the pixels are the samples.
    """

    Spec = DistSpec
    spec: DistSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = segmentation_logits(inputs)
        share = process_weight(valid.sum(), 1)
        if not valid.any():
            return student.sum() * 0.0
        temperature = self.spec.temperature.at(inputs.progress)
        q, p = ((z.movedim(1, -1)[valid] / temperature).softmax(1) for z in (student, teacher))
        inter = 1 - pearson(q, p, dim=1).mean()
        intra = 1 - pearson(q, p, dim=0).mean()
        return (self.spec.inter * inter + self.spec.intra * intra) * temperature**2 * share
