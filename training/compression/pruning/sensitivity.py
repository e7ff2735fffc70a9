"""Layer by layer: what does cutting this group alone cost?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from rich.progress import track

from training.compression.pruning.channels import Importance, Widths, prune_channels, round_width
from training.models.multi_task import MultiTaskNet

SHARES = (0.25, 0.5, 0.75)


def scan(
    model: MultiTaskNet,
    widths: Widths,
    importance: Importance,
    size: tuple[int, int],
    multiple: int,
    scores_of: Callable[[MultiTaskNet], Mapping[str, float]],
) -> dict[str, dict[int, float]]:
    """For each group, width -> the larger of the tasks' drops when a quarter, half, three quarters go.

    Args:
        model: with gradients, if the importance wants them.
        scores_of: scores by name of a network, 0..1.
    """
    full = scores_of(model)
    drops: dict[str, dict[int, float]] = {}
    for name, width in track(widths.items(), "sensitivity of layers", transient=True):
        for kept in {round_width(width * (1 - share), width, multiple) for share in SHARES} - {width}:
            cut = copy_with_gradients(model)
            prune_channels(cut, {name: kept}, importance, size)
            found = scores_of(cut)
            drops.setdefault(name, {})[kept] = max(full[key] - found[key] for key in full)
    return drops


def copy_with_gradients(model: MultiTaskNet) -> MultiTaskNet:
    """A deep copy; gradients come along."""
    twin = copy.deepcopy(model)
    for mine, its in zip(twin.parameters(), model.parameters(), strict=True):
        mine.grad = None if its.grad is None else its.grad.clone()
    return twin
