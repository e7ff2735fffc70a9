"""The commit that a program was run from."""

from __future__ import annotations

import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def git_hash(digits: int = 12, changed: str = "+") -> str | None:
    """The commit of the checkout that this package runs from; None if there is none.

    Args:
        changed: added where files differ from the commit.
    """
    if not (_ROOT / ".git").exists():  # git looks further up: an installed package may lie in any repository
        return None
    options = ["--always", f"--dirty={changed}", f"--abbrev={digits}", "--exclude=*"]
    command = ["git", "-C", str(_ROOT), "describe", *options]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None
