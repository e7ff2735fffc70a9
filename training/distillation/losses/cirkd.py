"""Cross-image relation within a batch: how each pixel stands to the pixels of all frames."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, FeatureTerm
from training.distillation.maps import masked_mean
from training.distillation.schedule import Schedule, Temperature


class CirkdSpec(FeatureSpec):
    """Pixel-to-pixel similarities between the frames of a batch."""

    name: Literal["cirkd"] = "cirkd"
    temperature: Temperature = Field(Schedule.constant(0.1), description="tau; a number or a schedule")
    pixels: int = Field(128, ge=2, description="pixels drawn from each frame")


class Cirkd(FeatureTerm):
    """Mean over frame pairs n, m and pixels i of n of KL(softmax(A_T(i,:) / tau) || softmax(A_S(i,:) / tau)).

    A(i, j) is the cosine of the features of pixel i in frame n and pixel j in frame m; the softmax runs over
    m's pixels.

    Source: Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic Segmentation" (CVPR 2022,
    https://arxiv.org/abs/2204.06986), section 3.2, mini-batch pixel-to-pixel distillation. All pixels against
    all would be (N h w)^2 similarities, so `pixels` valid ones are drawn from each frame, anew at every step,
    the same for student and teacher. Needs no adapter.
    """

    Spec = CirkdSpec
    spec: CirkdSpec
    matches_channels = False

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = self.maps(inputs)
        places = draw(valid.flatten(1), self.spec.pixels)
        known = valid.flatten(1).gather(1, places)
        temperature = self.spec.temperature.at(inputs.progress)
        outside = ~known[None, None]
        log_q, log_p = (
            _log_relation(unit_vectors(x, places), temperature, outside) for x in (student, teacher)
        )
        kl = (log_p.exp() * (log_p - log_q)).sum(3)
        return masked_mean(kl, known[:, :, None] & known.any(1))


def draw(valid: Tensor, count: int) -> Tensor:
    """Positions int64 [N,min(count,P)] drawn without repetition from `valid` bool [N,P], valid ones first."""
    if valid.shape[1] <= count:
        return torch.arange(valid.shape[1], device=valid.device).expand(len(valid), -1)
    return (torch.rand(valid.shape, device=valid.device) + valid).topk(count, sorted=False).indices


def unit_vectors(x: Tensor, places: Tensor) -> Tensor:
    """Features of [N,C,h,w] at `places` int64 [N,P], of length 1: [N,P,C]."""
    picked = x.flatten(2).gather(2, places[:, None].expand(-1, x.shape[1], -1))
    return F.normalize(picked, dim=1).transpose(1, 2)


def _log_relation(x: Tensor, temperature: float, outside: Tensor) -> Tensor:
    """log softmax over frame m's pixels of all similarities of [N,P,C]: [N,P,N,P] (n, i, m, j)."""
    frames, pixels, channels = x.shape
    flat = x.reshape(-1, channels)
    similarity = (flat @ flat.T / temperature).view(frames, pixels, frames, pixels)
    return F.log_softmax(similarity.masked_fill(outside, torch.finfo(x.dtype).min / 2), dim=3)
