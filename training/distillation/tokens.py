"""What a transformer gives for a frame, tokens in a row, as a map."""

from __future__ import annotations

import math

from torch import Tensor

# What stands before a frame's tokens: nothing; ViT's class token; DeiT's second one; DINOv2's four registers.
EXTRA_TOKENS = (0, 1, 2, 5)


def fold_tokens(tokens: Tensor, frame: tuple[int, int]) -> Tensor | None:
    """Tokens [N,L,C] of the cells of a `frame` (H, W), row by row -> map [N,C,h,w]; None if they are not.

    Cells are squares of an even number of pixels, as every network's are; at the right and lower edge one may
    stand out or be lacking.
    """
    for extra in EXTRA_TOKENS:
        grid = _grid(tokens.shape[1] - extra, frame)
        if grid is not None:
            return tokens[:, extra:].transpose(1, 2).unflatten(2, grid)
    return None


def _grid(count: int, frame: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of `count` cells; None if no side of a cell gives so many."""
    if count < 1:
        return None
    guess = math.sqrt(frame[0] * frame[1] / count)
    sides = [side for side in range(2, int(1.35 * guess) + 2, 2) if side > 0.7 * guess]
    for side in sorted(sides, key=lambda side: abs(side - guess)):
        for whole in (math.ceil, math.floor):
            rows, columns = whole(frame[0] / side), whole(frame[1] / side)
            if rows * columns == count:
                return rows, columns
    return None
