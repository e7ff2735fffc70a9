"""`~` where shells leave it to us: in `--out=~/runs/x`, within quotes, in recipes."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator

from distill_perception.cli_options import check_utf8

PlaceOrName = Annotated[str, AfterValidator(os.path.expanduser)]  # paths are expanded by StrictModel


def home_expanded(arguments: list[str]) -> list[str]:
    """Arguments with `~` and `~user` at the start of a value as the home folder.

    No command of this half takes anything but a path that begins so.

    Raises:
        ConfigError: one is not UTF-8.
    """
    check_utf8(arguments)
    return [re.sub(r"^(--[\w-]+=)?(~.*)$", _expanded, argument) for argument in arguments]


def _expanded(match: re.Match[str]) -> str:
    return (match[1] or "") + os.path.expanduser(match[2])
