"""The environment of processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def with_checkout(*before: Path, **more: str) -> dict[str, str]:
    """This process's environment, in which Python finds `before` first and then this checkout.

    What is on PYTHONPATH stays there: apt's ROS 2 is.
    """
    path = [*map(str, (*before, ROOT)), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **more}
