"""From the paths that a person gives to runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import PerceptionError
from .bundle_run import is_bundle, read_bundle
from .errors import CompareError
from .replay_run import is_replay, read_replay
from .run import Run, Skipped
from .training_run import is_training_run, read_training_run

_KINDS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Run]], ...] = (
    (is_bundle, read_bundle),
    (is_replay, read_replay),
    (is_training_run, read_training_run),
)
_EXPECTED = (
    "expected a training's run folder (recipe.yaml, result.json), a bundle (manifest.yaml), "
    "a replay's results (metrics.json), or a folder of such"
)


def discover(paths: Iterable[Path]) -> tuple[list[Run], list[Skipped]]:
    """Read every run among `paths`; a folder of runs stands for all of them.

    Returns:
        The runs, and what is left out: unfinished or damaged ones, and what lies beside runs but is none, as
        a shell's `runs/*` names it too.

    Raises:
        CompareError: a path does not exist, or none holds a run.
    """
    found = {path: _folders(path) for path in paths}
    if not any(found.values()):
        raise CompareError(f"{', '.join(map(str, found))}: no run there; {_EXPECTED}")
    runs: list[Run] = []
    skipped = [Skipped(path, "is no run") for path, folders in found.items() if not folders]
    seen: set[Path] = set()
    for folder in (folder for folders in found.values() for folder in folders):
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        try:
            runs.append(_read(folder))
        except PerceptionError as error:
            skipped.append(Skipped(folder, str(error)))
    return runs, skipped


def is_run(folder: Path) -> bool:
    """Whether a training, bundle or replay lies there."""
    return any(known(folder) for known, _ in _KINDS)


def _read(folder: Path) -> Run:
    return next(read for known, read in _KINDS if known(folder))(folder)


def _folders(path: Path) -> list[Path]:
    """The runs that a path stands for."""
    if not path.exists():
        raise CompareError(f"{path}: no such folder")
    folder = path if path.is_dir() else path.parent
    if is_run(folder):
        return [folder]
    if not path.is_dir():
        return []
    return sorted((item for item in path.iterdir() if item.is_dir() and is_run(item)), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts s2 before s10."""
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]
