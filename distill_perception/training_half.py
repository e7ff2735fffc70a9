"""Commands of the offline half, run in a process of its own: this half never imports torch."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from .errors import ConfigError


def hand_over(command: str, arguments: Sequence[str]) -> int:
    """Run `python -m training COMMAND ARGUMENTS` and return its exit status.

    Raises:
        ConfigError: the training extra is not installed.
    """
    missing = [name for name in ("torch", "lightning", "torch_pruning") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`{command}` needs the training extra ({', '.join(missing)} missing): "
            "pip install 'distill_perception[training]'"
        )
    return subprocess.run([sys.executable, "-m", "training", command, *arguments]).returncode
