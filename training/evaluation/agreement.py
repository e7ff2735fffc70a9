"""How alike teacher and student answer, whatever the label says."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class TeacherAgreement(Metric):
    """Share of pixels where both name the same class, and the mean KL divergence from teacher to student.

    KL(P_T || P_S) in nats at temperature 1 (Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural
    Network", https://arxiv.org/abs/1503.02531). Both as measures of how faithful a student is: Stanton et
    al., "Does Knowledge Distillation Really Work?" (NeurIPS 2021, https://arxiv.org/abs/2106.05945).
    """

    full_state_update = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Pixels, pixels of the same class, sum of the divergences.
        self.add_state("sums", torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, student: Tensor, teacher: Tensor, counted: Tensor) -> None:
        """Add images.

        Args:
            student, teacher: log-probabilities, float [N,C,H,W]. counted: bool [N,H,W], pixels that count.
        """
        same = (student.max(1).indices == teacher.max(1).indices) & counted  # argmax is slower on CPU
        divergence = (teacher.exp() * (teacher - student)).sum(1)[counted].double().sum()
        self.sums += torch.stack([counted.sum().double(), same.sum().double(), divergence]).to(self.sums)

    def compute(self) -> tuple[Tensor, Tensor]:
        """Agreement and mean KL, float64 []; nan before any pixel."""
        pixels, same, divergence = self.sums
        return same / pixels, divergence / pixels
