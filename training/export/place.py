"""Where a finished bundle goes: over an older one, never over anything else."""

from __future__ import annotations

import shutil
from pathlib import Path

from distill_perception.manifest import MANIFEST_NAME
from training.errors import TrainingError


def check_place(out: Path) -> None:
    """Make sure, before the work, that a bundle may be put at `out`.

    Raises:
        TrainingError: something else than a bundle is there.
    """
    free = not out.exists() or (out.is_dir() and ((out / MANIFEST_NAME).is_file() or not any(out.iterdir())))
    if not free:
        raise TrainingError(
            f"{out} is there and is no bundle: choose another --out, such as {out / 'my_student'}"
        )


def put(folder: Path, out: Path) -> None:
    """Move a finished bundle to `out`, in place of the one that is there."""
    if out.exists():
        shutil.rmtree(out)
    shutil.move(str(folder), out)
