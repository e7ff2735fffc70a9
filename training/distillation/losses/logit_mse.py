"""Squared distance of centred logits."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import known_channels, masked_mean, segmentation_logits


class LogitMseSpec(TermSpec):
    """Mean squared error to the teacher's logits, each pixel's mean over the classes taken off."""

    name: Literal["mse"] = "mse"


class LogitMse(Term):
    """Mean over valid pixels and classes that the teacher knows of (z_S - z_T)^2, z with mean 0 over these.

    Source: Ba, Caruana, "Do Deep Nets Really Need to be Deep?" (NeurIPS 2014,
    https://arxiv.org/abs/1312.6184), equation 1; centred, because teachers give log-probabilities, whose mean
    says nothing of the logits'. It is twice the limit of T^2 KL for T -> inf (Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531, equation 4).
    """

    Spec = LogitMseSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, teacher, valid = segmentation_logits(inputs)
        difference = known_channels(student - teacher, inputs.known)
        difference = difference - difference.mean(1, keepdim=True)
        return masked_mean(difference.square().mean(1), valid)
