"""Which runs differ only in their seed."""

from __future__ import annotations

import json
import re
from typing import Any

_SUFFIX = re.compile(r"[-_.](?:seed|s)[-_]?(\d+)$")


def without_seed(text: str, seed: int | None) -> str:
    """A name without the seed at its end: `kl_s3`, `kl-seed3`, `kl_seed_3` -> `kl`, if the seed is 3.

    With an unknown seed (None) any such end is taken off.
    """
    match = _SUFFIX.search(text)
    if match and match.start() > 0 and seed in (None, int(match[1])):
        return text[: match.start()]
    return text


def recipe_key(recipe: dict[str, Any]) -> str:
    """The recipe as text, without seed, also at the end of names and of paths to other runs."""
    seed = recipe.get("seed")
    rest = {key: value for key, value in recipe.items() if key != "seed"}
    return json.dumps(_strip(rest, seed if isinstance(seed, int) else None), sort_keys=True, default=str)


def _strip(value: Any, seed: int | None) -> Any:
    if isinstance(value, dict):
        return {str(key): _strip(item, seed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strip(item, seed) for item in value]
    return without_seed(value, seed) if isinstance(value, str) and seed is not None else value


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
