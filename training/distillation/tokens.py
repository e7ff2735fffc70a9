"""What a transformer gives for a frame, tokens in a row, as a map."""

from __future__ import annotations

import math

from torch import Tensor

# What stands before a frame's tokens: nothing; ViT's class token; DeiT's second one; DINOv2's four registers.
EXTRA_TOKENS = (0, 1, 2, 5)
LARGEST_CELL = 32


def fold_tokens(tokens: Tensor, frame: tuple[int, int], stride: int) -> Tensor | None:
    """Tokens [N,L,C] of the cells of a `frame` (H, W), row by row -> map [N,C,h,w]; None if they are not.

    Cells are squares of `stride` pixels, the first convolution's, or of that doubled again and again, up to
    32; at the right and lower edge one may stand out or be lacking.
    """
    for extra in EXTRA_TOKENS:
        grid = _grid(tokens.shape[1] - extra, frame, stride)
        if grid is not None:
            return tokens[:, extra:].transpose(1, 2).unflatten(2, grid)
    return None


def _grid(count: int, frame: tuple[int, int], stride: int) -> tuple[int, int] | None:
    """Rows and columns of `count` cells; None if no side of a cell gives so many."""
    sides = [side for times in (1, 2, 4, 8, 16) if (side := stride * times) <= max(stride, LARGEST_CELL)]
    for side in sides:
        for whole in (math.ceil, math.floor):
            rows, columns = whole(frame[0] / side), whole(frame[1] / side)
            if rows * columns == count:
                return rows, columns
    return None
