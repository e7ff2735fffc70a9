"""What made a file: the command, the commit and the time."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone

from distill_perception import commit


def command_line() -> str:
    """The command that this process carries out, as a shell takes it."""
    return shlex.join(["distill-perception-train", *sys.argv[1:]])


def git_hash() -> str:
    """Commit of the checkout in full, with `-dirty` for uncommitted changes; `unknown` without one."""
    return commit.git_hash(digits=40, changed="-dirty") or "unknown"


def this_command() -> dict[str, str]:
    """Command, commit and time, for provenance files."""
    return {
        "command": command_line(),
        "git_hash": git_hash(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
