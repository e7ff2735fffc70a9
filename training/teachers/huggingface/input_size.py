"""The size a checkpoint's image processor brings a frame to, from its `preprocessor_config.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from training.errors import TrainingError


def checkpoint_size(config: Mapping[str, Any], height: int, width: int) -> tuple[int, int]:
    """Height and width of the network's input for a frame of `height` x `width` pixels.

    Center crops are left out on purpose: a segmentation teacher must see the whole frame.

    Raises:
        TrainingError: a rule that would not see the whole frame once (tiles, padding to a fixed size), or one
            that is not known.
    """
    if not config.get("do_resize", True):
        return height, width
    if config.get("do_split_image") or (config.get("do_pad") and config.get("pad_size")):
        raise TrainingError(
            "teacher.size: this checkpoint cuts frames into tiles or pads them to a fixed size; give the "
            "height and width that it shall see, `size: [H, W]`, or `size: image`"
        )
    target = _target(config, height, width)
    divisor = config.get("size_divisor") or 1
    return math.ceil(target[0] / divisor) * divisor, math.ceil(target[1] / divisor) * divisor


def _target(config: Mapping[str, Any], height: int, width: int) -> tuple[int, int]:
    size = config.get("size")
    if isinstance(size, int):  # as feature extractors wrote it before transformers 4.24
        longest = config.get("max_size")
        size = {"height": size, "width": size} if longest is None else {"shortest_edge": size}
        size = size if longest is None else {**size, "longest_edge": longest}
    match size:
        case {"height": int(rows), "width": int(columns)}:
            return rows, columns
        case {"shortest_edge": int(short), **rest}:
            return _with_aspect(height, width, short, rest.get("longest_edge") or config.get("max_size"))
        case {"max_height": int(rows), "max_width": int(columns)}:
            ratio = min(rows / height, columns / width)
            return int(height * ratio), int(width * ratio)
        case _:
            raise TrainingError(
                f"teacher.size: the checkpoint's preprocessor_config.json has size {size!r}, which is not "
                "known here; give `size: [H, W]`"
            )


def _with_aspect(height: int, width: int, short: int, longest: int | None) -> tuple[int, int]:
    """Shorter side to `short`, or longer one to `longest` if that is less; rounded as transformers does."""
    low, high = min(height, width), max(height, width)
    exact = float(short)
    if longest is not None and high / low * short > longest:
        exact = longest * low / high
        short = round(exact)
    if low == short:
        return height, width
    other = int(exact * high / low)
    return (short, other) if height <= width else (other, short)


def image_size(height: int, width: int) -> tuple[int, int]:
    """The frame's own size, rounded up to what five halvings divide."""
    return math.ceil(height / 32) * 32, math.ceil(width / 32) * 32
