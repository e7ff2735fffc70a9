"""What made a file: the command, the commit and the time."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path


def command_line() -> str:
    """The command that this process carries out, as a shell takes it."""
    return shlex.join(["distill-perception-train", *sys.argv[1:]])


def git_hash() -> str:
    """Commit of the source tree, with `-dirty` for uncommitted changes; `unknown` outside a repository."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def this_command() -> dict[str, str]:
    """Command, commit and time, for provenance files."""
    return {
        "command": command_line(),
        "git_hash": git_hash(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
