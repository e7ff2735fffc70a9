"""Arithmetic on log-probabilities [N,C,h,w] that may sum to less than one.

The missing mass is the probability that a pixel is none of the C classes: a teacher's class without a
counterpart in the student's set, or a pixel that no mask query claims.
"""

from __future__ import annotations

import torch
from torch import Tensor

# exp(-100) is 0 in float32 and stays below 1e-10 at every temperature up to 4.
LOG_ZERO = -100.0
# A sum of float32 probabilities that lacks no more than this lacks nothing.
_ROUNDING = 1e-5


def missing_mass(log_probs: Tensor) -> Tensor:
    """log of the mass that is in none of the classes, float [N,1,h,w]; `LOG_ZERO` if nothing is missing."""
    missing = -torch.expm1(log_probs.float().logsumexp(1, keepdim=True))
    return torch.where(missing > _ROUNDING, missing.clamp(min=_ROUNDING).log(), LOG_ZERO)


def with_missing(log_probs: Tensor) -> Tensor:
    """Append the missing mass as one further channel: float [N,C+1,h,w] that sums to one."""
    return torch.cat([log_probs.float(), missing_mass(log_probs)], 1)


def mix(members: list[Tensor], shares: Tensor) -> Tensor:
    """Weighted mean of probabilities, log sum_i w_ic P_i(c), in log space.

    Args:
        members: log-probabilities, each float [N,C,h,w] of the same size.
        shares: float [M,C], weight of each member for each class; columns sum to one, or to zero for a class
            that no member knows.
    """
    weights = shares.log().clamp(min=LOG_ZERO)[:, None, :, None, None]
    mixed = (torch.stack([item.float() for item in members]) + weights).logsumexp(0).clamp(min=LOG_ZERO)
    # Members that know different classes may claim more than everything between them.
    return mixed - mixed.logsumexp(1, keepdim=True).clamp(min=0.0)
