"""Packages that some systems' apt has too old: said in one line, in place of an import error deep inside."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from .errors import ConfigError

NEEDED = {"pydantic": "2.5", "typer": "0.12"}  # as in setup.py


def check_dependencies(*packages: str) -> None:
    """Look at the installed versions of these packages.

    Raises:
        ConfigError: naming what is too old or missing, and how to get it.
    """
    problems = []
    for package in packages:
        needed = NEEDED[package]
        try:
            found = version(package)
        except PackageNotFoundError:
            problems.append(f"{package} {needed} or newer is not installed")
        else:
            if _numbers(found) < _numbers(needed):
                problems.append(f"{package} {found} is too old, {needed} or newer is needed")
    if problems:
        wanted = " ".join(f"'{package}>={needed}'" for package, needed in NEEDED.items())
        raise ConfigError(
            f"{'; '.join(problems)}: python3 -m pip install --user {wanted} "
            "(Debian 12, Ubuntu 24.04: with PIP_BREAK_SYSTEM_PACKAGES=1 before it; without --user in a "
            "virtual environment)"
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
