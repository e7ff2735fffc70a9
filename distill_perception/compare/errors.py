"""What can be wrong with a comparison."""

from __future__ import annotations

from ..errors import PerceptionError


class CompareError(PerceptionError):
    """Runs cannot be compared as asked: no run, nothing finished, an unknown baseline or metric."""
