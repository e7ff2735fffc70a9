"""How work that takes long tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # what is being done, done, of how many (0: unknown)


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
