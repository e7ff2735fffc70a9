"""Layers by name or pattern, as recipes name those that stay in a wider format."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from distill_perception.strict import did_you_mean
from training.errors import TrainingError


def matching(layers: Sequence[str], patterns: Sequence[str], key: str = "float_layers") -> list[str]:
    """Layers that a pattern names; `key` is where the patterns stand.

    Raises:
        TrainingError: a pattern names none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise TrainingError(f"{key}: no layer is '{pattern}' ({did_you_mean(pattern, layers)})")
    return [layer for layer in layers if any(fnmatchcase(layer, pattern) for pattern in patterns)]
