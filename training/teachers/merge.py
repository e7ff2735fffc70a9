"""One answer from several: of an ensemble's members or of test-time views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.models.outputs import DetectionMaps, reach, resample
from training.teachers.log_probs import mix, with_missing


def shares(known: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weight of each member for each class, float [M,C]: those who know the class share it by their weights.

    Args:
        known: bool [C] of each member.
    """
    each = torch.stack([flags.float() * weight for flags, weight in zip(known, weights, strict=True)])
    return each / each.sum(0).clamp(min=torch.finfo(torch.float32).tiny)


@dataclass(frozen=True)
class PlacedLogits:
    """Log-probabilities float [N,C,h,w] and the borders of their map in pixels of the frame.

    A map of whole stride may stand out over the frame's right and lower edge (`reach`), that of the mirrored
    frame over the left one.

    Attributes:
        rows: upper and lower border.
        columns: left and right border.
    """

    log_probs: Tensor
    rows: tuple[float, float]
    columns: tuple[float, float]


def place_logits(
    log_probs: Tensor, view: tuple[int, int], frame: tuple[int, int], flip: bool
) -> PlacedLogits:
    """Log-probabilities [N,C,h,w] of a view of the frame, put where they belong in the frame.

    Args:
        view: height, width of what the teacher saw.
        frame: height, width of the frame as it is.
        flip: whether the view is mirrored.
    """
    height, width = (
        covered * whole / seen
        for covered, whole, seen in zip(reach(log_probs.shape[-2:], view), frame, view, strict=True)
    )
    if flip:
        return PlacedLogits(log_probs.flip(-1), (0, height), (frame[1] - width, frame[1]))
    return PlacedLogits(log_probs, (0, height), (0, width))


def merge_logits(members: Sequence[PlacedLogits], weight: Tensor, frame: tuple[int, int]) -> Tensor:
    """Weighted mean of probabilities at the finest member's resolution, as log-probabilities [N,C,h,w].

    Args:
        weight: float [M,C], see `shares`.
        frame: its height and width in pixels.
    """
    height = max(item.log_probs.shape[-2] for item in members)
    width = max(item.log_probs.shape[-1] for item in members)
    return mix([_on_grid(item, (height, width), frame) for item in members], weight)


def _on_grid(item: PlacedLogits, size: tuple[int, int], frame: tuple[int, int]) -> Tensor:
    """Log-probabilities [N,C,*size] at the centres of the cells of a map of that size of the frame.

    Bilinear in the log domain, the sum of all classes and missing mass kept. On the same grid nothing
    changes.
    """
    height, width = reach(size, frame)
    if (item.log_probs.shape[-2:], item.rows, item.columns) == (size, (0, height), (0, width)):
        return item.log_probs
    values = with_missing(item.log_probs)
    sampled = resample(values, size, (height, width), item.rows, item.columns)
    return sampled.log_softmax(1)[:, :-1]


def merge_maps(members: Sequence[DetectionMaps], weight: Tensor) -> DetectionMaps:
    """Weighted mean of heatmap probabilities; distances weighted by weight times best score.

    Args:
        members: maps on the same grid.
        weight: float [M,T], see `shares`.
    """
    heat = torch.stack([item.heatmap.float().sigmoid() for item in members])  # [M,N,T,h,w]
    weighted = heat * weight[:, None, :, None, None]
    trust = weighted.amax(2, keepdim=True).clamp(min=1e-12)  # [M,N,1,h,w]
    size = torch.stack([item.size.float() for item in members])
    mean = weighted.sum(0).clamp(1e-6, 1 - 1e-6).logit()
    return DetectionMaps(mean, (size * trust).sum(0) / trust.sum(0), members[0].stride)
