"""The teacher's answers as labels, where it is sure."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term, TermSpec
from training.distillation.maps import masked_mean, nearest, segmentation_logits, teacher_probabilities


class PseudoLabelsSpec(TermSpec):
    """Cross-entropy to the teacher's most likely class."""

    name: Literal["pseudo_labels"] = "pseudo_labels"
    threshold: float = Field(
        0.9, ge=0, le=1, description="least probability of the teacher's answer that counts"
    )
    unlabelled_only: bool = Field(False, description="leave out pixels that have a label")


class PseudoLabels(Term):
    """Mean of -log P_S(argmax_c P_T(c)) over valid pixels where max_c P_T(c) >= threshold.

    Source: Lee, "Pseudo-Label" (ICML workshop 2013), equation 15; the threshold after FixMatch (Sohn et al.,
    NeurIPS 2020, https://arxiv.org/abs/2001.07685), equation 4, but divided by the pixels that count.
    """

    Spec = PseudoLabelsSpec
    spec: PseudoLabelsSpec

    def forward(self, inputs: DistillInputs) -> Tensor:
        student, _, valid = segmentation_logits(inputs)
        size = (student.shape[-2], student.shape[-1])
        confidence, answer = teacher_probabilities(inputs, size).max(1)
        counts = valid & (confidence >= self.spec.threshold)
        if self.spec.unlabelled_only:
            counts &= nearest(inputs.target, size) == inputs.void_id
        return masked_mean(F.cross_entropy(student, answer, reduction="none"), counts)
