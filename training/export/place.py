"""Where a finished bundle goes: over an older one, never over anything else. Symlinks are followed."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from distill_perception.errors import BundleError
from distill_perception.manifest import MANIFEST_NAME, NAME, read_manifest
from distill_perception.terminal import warn
from training.errors import TrainingError
from training.run_folder import refuse_unwritable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def check_place(out: Path) -> None:
    """Make sure, before the work, that a bundle may be put at `out`.

    Raises:
        TrainingError: something else than a bundle is there, nothing can be written there, or the folder's
            name cannot be a bundle's.
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
    refuse_unwritable(out.resolve().parent)


def tell_lost_forms(out: Path, forms: Collection[str]) -> None:
    """Warn, before the work, where the bundle at `out` has forms that the new one, of `forms`, will lack."""
    try:
        old = read_manifest(out / MANIFEST_NAME)
    except BundleError:  # none, or one that nothing can be told of
        return
    if lost := [form for form in old.precisions if form not in forms]:
        warn(
            f"{out}: replaces {old.name} {old.version} ({', '.join(old.precisions)}); the new one lacks "
            f"{', '.join(lost)}"
        )


@contextmanager
def scratch_beside(out: Path, prefix: str) -> Iterator[Path]:
    """A folder on the file system of `out` in which what goes there is made; gone afterwards.

    Raises:
        TrainingError: nothing more can be written there.
    """
    beside = out.resolve().parent
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=beside, prefix=prefix) as scratch:
            yield Path(scratch)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise TrainingError(
            f"cannot write {out}: {error.strerror}, there or in {tempfile.gettempdir()}; free some space, or "
            "choose another --out"
        ) from error


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
