"""Layer by layer: what does cutting this group alone cost, and what does it save?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from rich.progress import track

from training.compression.pruning.channels import Importance, Widths, prune_channels, round_width
from training.compression.pruning.plans import Cut
from training.models.multi_task import MultiTaskNet
from training.models.table import count_macs

SHARES = (0.25, 0.5, 0.75)


def scan(
    model: MultiTaskNet,
    widths: Widths,
    importance: Importance,
    size: tuple[int, int],
    multiple: int,
    scores_of: Callable[[MultiTaskNet], Mapping[str, float]],
    latency_share_of: Callable[[MultiTaskNet], float],
) -> list[Cut]:
    """A quarter, half, three quarters off each group alone; the drop is the larger of the tasks'.

    A quarter of one group may save less than a measurement tells apart: the deepest cut is measured, and the
    others are taken to save as much a channel.

    Args:
        model: with gradients, if the importance wants them.
        scores_of: scores by name of a network, 0..1.
        latency_share_of: latency of a network on the target engine, as a share of the whole one's.
    """
    full = scores_of(model)
    cuts = []
    for name, width in track(widths.items(), "sensitivity of layers", transient=True):
        saved_a_channel: float | None = None
        for kept in sorted({round_width(width * (1 - share), width, multiple) for share in SHARES} - {width}):
            cut = copy_with_gradients(model)
            prune_channels(cut, {name: kept}, importance, size)
            if saved_a_channel is None:
                saved_a_channel = (1 - latency_share_of(cut)) / (width - kept)
            found = scores_of(cut)
            drop = max(full[key] - found[key] for key in full)
            cuts.append(Cut(name, kept, drop, saved_a_channel * (width - kept)))
    return cuts


def macs_of(model: MultiTaskNet, size: tuple[int, int]) -> int:
    """Multiply-accumulates of one frame of `size` (height, width)."""
    return count_macs(copy.deepcopy(model).to("meta"), torch.empty(1, 3, *size, device="meta"))


def copy_with_gradients(model: MultiTaskNet) -> MultiTaskNet:
    """A deep copy; gradients come along."""
    twin = copy.deepcopy(model)
    for mine, its in zip(twin.parameters(), model.parameters(), strict=True):
        mine.grad = None if its.grad is None else its.grad.clone()
    return twin
