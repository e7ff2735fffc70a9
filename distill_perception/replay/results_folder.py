"""The folder of a replay's results: one replay at a time writes there, each file whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import ReplayError
from ..folder_lock import locked_folder
from ..whole_file import part_of, write_whole

METRICS, REPORT, VIDEO, NODE_LOG = "metrics.json", "report.html", "overlay.mp4", "node.log"


@contextmanager
def results_folder(out: Path) -> Iterator[None]:
    """Make it, without an earlier replay's results, and keep other replays out of it until the end.

    After a failure earlier results would pass for this replay's.

    Raises:
        ReplayError: another replay writes there, or nobody can.
    """
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked_folder(out, lambda who: _taken(out, who)))
            for path in (out / name for name in (METRICS, REPORT, VIDEO, NODE_LOG)):
                path.unlink(missing_ok=True)
                part_of(path).unlink(missing_ok=True)
            (out / METRICS).touch()  # before all is played: can results be written here?
            (out / METRICS).unlink()
        except OSError as error:
            raise ReplayError(
                f"{error.filename}: cannot be made or emptied: {error.strerror}; "
                "give another folder with --out"
            ) from error
        yield


def _taken(out: Path, who: str) -> ReplayError:
    return ReplayError(f"{out}: another replay writes there{who}; give another folder with --out")


def write_result(path: Path, text: str) -> None:
    """Write a text file; after a failure there is none of it.

    Raises:
        ReplayError: it cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise ReplayError(
            f"{path}: cannot be written: {error.strerror}; make room, or give another folder with --out"
        ) from error


def write_metrics(path: Path, content: Mapping[str, Any]) -> None:
    """Write metrics.json. Raises ReplayError as `write_result` does."""
    write_result(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
