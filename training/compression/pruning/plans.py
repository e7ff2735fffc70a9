"""How far each group of layers is cut: plans from mild to strong, of which measured latency picks one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from training.compression.pruning.channels import Widths, round_width
from training.errors import TrainingError

STEPS = 16
NOISE = 0.002  # scores of a few frames tell no smaller drop


def uniform_plans(widths: Widths, max_ratio: float, multiple: int) -> list[Widths]:
    """The same share of channels from every group, 1/16 of `max_ratio` more from plan to plan."""
    shares = [max_ratio * step / STEPS for step in range(1, STEPS + 1)]
    return _distinct(
        [
            {name: round_width(width * (1 - share), width, multiple) for name, width in widths.items()}
            for share in shares
        ]
    )


@dataclass(frozen=True)
class Cut:
    """What it does to the network to cut one group alone.

    Attributes:
        name: of the group. width: channels that are left.
        drop: of the scores, 0..1. saved: share of the network's latency; below 0 where it got slower.
    """

    name: str
    width: int
    drop: float
    saved: float

    @property
    def price(self) -> float:
        """Drop for what it saves; what saves next to nothing is dear, even where no drop was seen."""
        return (max(0.0, self.drop) + NOISE) / max(self.saved, 1e-9)


def sensitive_plans(widths: Widths, cuts: Iterable[Cut]) -> list[Widths]:
    """One cut of one group more from plan to plan, the cheapest first."""
    plans = [dict(widths)]
    for cut in sorted(cuts, key=lambda cut: cut.price):
        plans.append({**plans[-1], cut.name: min(plans[-1][cut.name], cut.width)})
    return _distinct(plans)[1:]


def mildest(plans: Sequence[Widths], share_of: Callable[[Widths], float], target: float, what: str) -> int:
    """Index of the first plan that is cheap enough, found by bisection: later plans are cheaper.

    Args:
        share_of: what a plan takes of the network's before. what: that is a share of, for the error.

    Raises:
        TrainingError: not even the strongest plan is cheap enough.
    """
    if not plans:
        raise TrainingError("pruning: no group of layers can be cut any further")
    low, high = 0, len(plans) - 1
    least = share_of(plans[high])
    if least > target:
        raise TrainingError(
            f"pruning: the strongest plan takes {least:.0%} of the {what}, {target:.0%} was asked for: "
            f"raise `{what}` or max_ratio, or prune in several rounds with finetuning between them"
        )
    while low < high:
        middle = (low + high) // 2
        if share_of(plans[middle]) <= target:
            high = middle
        else:
            low = middle + 1
    return high


def _distinct(plans: Sequence[Widths]) -> list[Widths]:
    return [plan for index, plan in enumerate(plans) if index == 0 or plan != plans[index - 1]]
