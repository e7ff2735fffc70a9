"""The frame's augmentation, applied to a cached answer by following where each pixel came from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from training.data.trace import FIRST
from training.models.outputs import reach


def answered_cells(came_from: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which cells of an augmented frame hold what the teacher saw around their centre, bool [*size].

    Args:
        came_from: uint16 [H',W',2], see `training.data.trace`.
        size: height, width of the result in cells.
    """
    return _seen(_around_centres(came_from, size))


def sample_codes(
    codes: NDArray[np.uint8], came_from: NDArray[np.uint16], frame: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Codes of an augmented frame, uint8 [C+1,*size]: at each cell's centre; 0 where it was not answered.

    Args:
        codes: uint8 [C+1,h,w] of the whole frame, over whose edge they may stand out (`reach`).
        came_from: uint16 [H',W',2], see `training.data.trace`.
        frame: height, width of the whole frame in pixels.
        size: height, width of the result.
    """
    near = _around_centres(came_from, size)
    position = torch.from_numpy(near.astype(np.float32).mean(0)) - FIRST + 0.5
    # -1 and 1 are the outer borders of the map, as grid_sample has it.
    grid = (position / torch.tensor(reach(codes.shape[1:], frame)) * 2 - 1).flip(-1)
    values = torch.from_numpy(codes)[None].float()
    found: Tensor = F.grid_sample(values, grid[None], "bilinear", "border", align_corners=False)[0]
    inside = torch.from_numpy(_seen(near))
    sampled: NDArray[np.uint8] = (found.round() * inside).to(torch.uint8).numpy()
    return sampled


def _seen(near: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Cells all of whose four pixels come from somewhere: a pixel has both coordinates or neither."""
    seen: NDArray[np.bool_] = near[..., 0].min(0) >= FIRST
    return seen


def _around_centres(came_from: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.uint16]:
    """The four pixels around each cell's centre, uint16 [4,*size,2]."""
    pixels = came_from.shape[0], came_from.shape[1]
    rows, columns = map(_around, size, reach(size, pixels), pixels)
    return np.stack([came_from[r[:, None], c] for r in rows for c in columns])


def _around(cells: int, reached: int, pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pixels on both sides of each cell's centre, one and the same where it lies inside a pixel.

    Of `pixels` in a row, `cells` lie over `reached`; for a centre beyond them the last one stands in.
    """
    centres = (np.arange(cells) + 0.5) * reached / cells
    before, behind = np.ceil(centres).astype(np.int64) - 1, np.floor(centres).astype(np.int64)
    return before.clip(max=pixels - 1), behind.clip(max=pixels - 1)
