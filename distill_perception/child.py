"""How this package starts one of its own modules as a process."""

from __future__ import annotations

import sys
from pathlib import Path

# `python -m` looks into the current folder first, where a user's training.py or random.py would be run in
# place of the real one; -P, which keeps it from that, came with Python 3.11. The folder of this very package
# is put first where Python does not know it: a checkout that is not installed must not start a release.
_RUN = (
    "import sys; own, known = sys.argv.pop(1), [*filter(None, sys.path)]; "
    "sys.path[:] = known if own in known else [own, *known]; "
    "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(name: str) -> list[str]:
    """The command that runs a module as `python -m NAME` does, whatever lies in the current folder."""
    return [sys.executable, "-c", _RUN, str(Path(__file__).resolve().parents[1]), name]
