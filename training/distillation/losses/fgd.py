"""Focal and global distillation: objects and background apart, weighted by the teacher's attention."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm, Site
from training.distillation.losses.box_masks import box_masks
from training.distillation.processes import process_weight


class FgdSpec(FeatureSpec):
    """Feature distillation focused on objects and the teacher's attention, plus global relations."""

    name: Literal["fgd"] = "fgd"
    temperature: float = Field(0.8, gt=0, description="of the attention")
    foreground: float = Field(1.6e-3, ge=0, description="alpha: weight of the features inside boxes")
    background: float = Field(8e-4, ge=0, description="beta: weight of the features outside")
    attention: float = Field(8e-4, ge=0, description="gamma: weight of the attention's distance")
    relation: float = Field(8e-6, ge=0, description="lambda: weight of the global relation")


class Fgd(FeatureTerm):
    """Sum over positions and channels, mean over frames, of the four parts below.

    Focal: (alpha M_fg + beta M_bg) A_spatial A_channel (F_T - r(F_S))^2, with A the teacher's attention, M_fg
    = 1 / area inside a box (the smallest there) and M_bg = 1 / background area outside all. Attention: gamma
    |A_T - A_S|, spatial and channel. Global: lambda (R(F_T) - R(r(F_S)))^2, R a learned GcBlock each.

    Source: Yang et al., "Focal and Global Knowledge Distillation for Detectors" (CVPR 2022,
    https://arxiv.org/abs/2111.11837), section 3; the defaults are the authors' for FCOS. The focal part
    leaves out frames whose boxes are unknown, and every part leaves out invalid positions. Boxes cover the
    cells that they touch; the authors' code adds one cell to the right and below.
    """

    Spec = FgdSpec
    spec: FgdSpec

    def __init__(self, spec: FgdSpec, site: Site) -> None:
        super().__init__(spec, site)
        self.student_context = GlobalContext(site.channels)
        self.teacher_context = GlobalContext(site.channels)

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        spec = self.spec
        inside, outside = box_masks(inputs, valid)
        spatial_t, channel_t = _attention(teacher, valid, spec.temperature)
        spatial_s, channel_s = _attention(student, valid, spec.temperature)
        difference = student - teacher
        places = (spec.foreground * inside + spec.background * outside).to(student.dtype) * spatial_t
        focal = (_sum_over(difference.square(), places) * channel_t).sum()
        attention = (spatial_s - spatial_t).abs().sum() + (channel_s - channel_t).abs().sum()
        contexts = self.student_context(student, valid) - self.teacher_context(teacher, valid)
        relation = _sum_over((difference + contexts).square(), valid).sum()
        frames = valid.flatten(1).any(1).sum()
        total = focal + spec.attention * attention + spec.relation * relation
        return total / frames.clamp(min=1) * process_weight(frames, 1)


def _sum_over(x: Tensor, weight: Tensor) -> Tensor:
    """Sum over positions of [N,C,h,w] times a weight [N,h,w]: [N,C]."""
    return (x.flatten(2) @ weight.to(x.dtype).flatten(1)[:, :, None])[:, :, 0]


def _attention(x: Tensor, valid: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Attention over positions [N,h,w] and over channels [N,C], each of mean 1 (paper, section 3.1).

    Only valid positions have and give attention.
    """
    size = x.abs()
    count = valid.flatten(1).sum(1)[:, None]
    lowest = torch.finfo(x.dtype).min / 2
    places = (size.mean(1) / temperature).masked_fill(~valid, lowest).flatten(1).softmax(1) * count
    channels = (_sum_over(size, valid) / count.clamp(min=1) / temperature).softmax(1) * x.shape[1]
    return places.view(valid.shape), channels


class GlobalContext(nn.Module):
    """What a GcBlock adds to a map [N,C,h,w]: the attended mean feature through a bottleneck, [N,C,1,1].

    Source: Cao et al., "GCNet" (ICCV workshop 2019, https://arxiv.org/abs/1904.11492), figure 4d; its last
    layer starts at zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        self.mask = nn.Conv2d(channels, 1, 1)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.norm = nn.LayerNorm([middle, 1, 1])
        self.expand = nn.Conv2d(middle, channels, 1)
        nn.init.kaiming_normal_(self.mask.weight)
        nn.init.zeros_(self.mask.bias)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        lowest = torch.finfo(x.dtype).min / 2
        share = self.mask(x).masked_fill(~valid[:, None], lowest).flatten(2).softmax(2)
        context = (x.flatten(2) @ share.transpose(1, 2))[..., None]
        out: Tensor = self.expand(self.norm(self.reduce(context)).relu())
        return out
