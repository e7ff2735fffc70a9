"""Where a finished bundle goes: over an older one, never over anything else. Symlinks are followed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from distill_perception.manifest import MANIFEST_NAME, NAME
from training.errors import TrainingError


def check_place(out: Path) -> None:
    """Make sure, before the work, that a bundle may be put at `out`.

    Raises:
        TrainingError: something else than a bundle is there, or the folder's name cannot be a bundle's.
    """
    if not re.fullmatch(NAME, out.name):
        raise TrainingError(
            f"{out}: a bundle has its folder's name, and '{out.name}' cannot be one: choose an --out of "
            "letters, digits, '_', '.' and '-' that begins with a letter or digit"
        )
    free = not out.exists() or (out.is_dir() and ((out / MANIFEST_NAME).is_file() or not any(out.iterdir())))
    if not free:
        raise TrainingError(
            f"{out} is there and is no bundle: choose another --out, such as {out / 'my_student'}"
        )


def put(folder: Path, out: Path) -> None:
    """Rename a finished bundle to `out`, in place of the one that is there, of which nothing is lost before.

    Args:
        folder: on the same file system as `out`, in a folder of its own, where the old bundle waits.
    """
    out = out.resolve()
    old = folder.with_name(f"{folder.name}.old")
    try:
        if out.exists():
            shutil.move(out, old)  # a folder of a container's image cannot be renamed
        folder.rename(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
