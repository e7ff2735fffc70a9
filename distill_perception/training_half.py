"""Commands of the offline half, which takes over this process: this half never imports torch."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NoReturn

from .child import module_command
from .errors import ConfigError


def hand_over(command: str, arguments: Sequence[str]) -> NoReturn:
    """Become `python -m training COMMAND ARGUMENTS`.

    As a child it would be killed a quarter of a second after Ctrl-C, before it has saved its checkpoint.

    Raises:
        ConfigError: the training extra is not installed.
    """
    missing = [name for name in ("torch", "lightning", "torch_pruning") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"`{command}` needs the training extra ({', '.join(missing)} missing): "
            "pip install 'distill_perception[training]'"
        )
    line = [*module_command("training"), command, *arguments]
    os.execv(line[0], line)
