"""Which runs differ only in their seed."""

from __future__ import annotations

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


def differ_in_seed_only(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two recipes differ in nothing but the seed, `_HOW`, and names that end with the seed.

    A path may have each run's own seed in it (`runs/labels_s1` and `runs/labels_s2`), or be the same in both
    (`runs/teacher_s1`).
    """
    mine, theirs = (flatten(recipe) for recipe in (first, second))
    if mine == theirs:
        return True
    written = [flatten(recipe, strip=False) for recipe in (first, second)]
    return mine.keys() == theirs.keys() and all(
        mine[key] == theirs[key] or (key != "name" and written[0][key] == written[1][key]) for key in mine
    )


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


def flatten(recipe: dict[str, Any], strip: bool = True) -> dict[str, Any]:
    """A recipe's values by dotted key, `loss.kl`, without seed and `_HOW`.

    Args:
        strip: take the seed off where it ends a name or a part of a path.
    """
    seed = recipe.get("seed")
    rest = {key: _without_how(key, value) for key, value in recipe.items() if key != "seed"}
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                walk(item, f"{path}.{key}" if path else str(key))
        else:
            flat[path] = value

    walk(_strip(rest, seed if strip and isinstance(seed, int) else None), "")
    return flat
