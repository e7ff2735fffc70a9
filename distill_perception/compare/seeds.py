"""Which runs differ only in their seed."""

from __future__ import annotations

import json
import re
from typing import Any

_SUFFIX = re.compile(r"[-_.](?:seed|s)[-_]?(\d+)$")
_HOW = {"optimizer": ("precision",)}  # of a section, what is said of the work and not of what comes out


def without_seed(text: str, seed: int | None) -> str:
    """A name without the seed at its end: `kl_s3`, `kl-seed3`, `kl_seed_3` -> `kl`, if the seed is 3.

    With an unknown seed (None) any such end is taken off.
    """
    match = _SUFFIX.search(text)
    if match and match.start() > 0 and seed in (None, int(match[1])):
        return text[: match.start()]
    return text


def recipe_key(recipe: dict[str, Any]) -> str:
    """The recipe as text, without seed and `_HOW`; a seed that ends a name or a part of a path goes too."""
    seed = recipe.get("seed")
    rest = {key: _without_how(key, value) for key, value in recipe.items() if key != "seed"}
    return json.dumps(_strip(rest, seed if isinstance(seed, int) else None), sort_keys=True, default=str)


def _without_how(section: str, value: Any) -> Any:
    if section not in _HOW or not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in _HOW[section]}


def _strip(value: Any, seed: int | None) -> Any:
    if isinstance(value, dict):
        return {str(key): _strip(item, seed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strip(item, seed) for item in value]
    if not isinstance(value, str) or seed is None:
        return value
    return "/".join(without_seed(part, seed) for part in value.split("/"))  # runs/kl_s1/stages/coarse


def flatten(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values by dotted key, `loss.kl`, with seeds taken off as in `recipe_key`."""
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                walk(item, f"{path}.{key}" if path else str(key))
        else:
            flat[path] = value

    walk(json.loads(recipe_key(recipe)), "")
    return flat
