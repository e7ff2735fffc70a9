"""The node that a replay starts: it ends when the replay does, even where that is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from ..ros.node import main

_STDIN = 0
_PATIENCE_S = 10.0  # for an orderly end, which an engine that hangs lets not come


def _end_with_replay() -> None:
    os.read(_STDIN, 1)  # a pipe to which the replay writes nothing: this waits until it is gone
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_replay, daemon=True).start()
    sys.exit(main())
