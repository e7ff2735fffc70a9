"""Compressed arrays in a folder: safe against other writers and half-written files, limited if asked to."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError

logger = logging.getLogger(__name__)

Arrays = dict[str, NDArray[np.generic]]
SUFFIX = ".npz"
_PARTIAL = ".partial"
# Above the limit, entries are dropped until this share of it is left, so that not every write has to.
_KEEP = 0.9
_STALE_S = 3600.0
# How much may be written before the folder is measured again: other processes write to it too.
_MEASURE_EVERY = 1 / 50


class ArrayStore:
    """Arrays in `folder`/AB/KEY.npz, which other processes and runs may share.

    Entries are written to a temporary file and renamed, so a reader sees all of one or nothing; a damaged
    entry (its CRC-32 does not fit) counts as absent and is logged.

    Args:
        setting: what asks for it, for people: `teacher.cache`. Null there turns it off.
        limit: bytes that all entries may take; above it, those written first are dropped first.

    Raises:
        TrainingError: the folder cannot be made.
    """

    def __init__(self, folder: Path, setting: str, limit: float = math.inf) -> None:
        self.folder = folder
        self.setting = setting
        self.limit = limit
        self._written: int | None = None  # since the folder was measured; None before the first time
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"{setting}: cannot make {folder}: {error.strerror}; choose a writable folder"
            ) from error

    def path(self, key: str) -> Path:
        """Where an entry is or would be."""
        return self.folder / key[:2] / f"{key}{SUFFIX}"

    def __contains__(self, key: str) -> bool:
        return self.path(key).is_file()

    def get(self, key: str) -> Arrays | None:
        """The arrays of an entry; None if it is absent or damaged."""
        try:
            with self.path(key).open("rb") as file, np.load(file, allow_pickle=False) as entry:
                return {name: entry[name] for name in entry.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            logger.warning(
                "%s: %s is damaged (%s); it will be made anew", self.setting, self.path(key), error
            )
            return None

    def put(self, key: str, arrays: Arrays) -> None:
        """Write or replace an entry, then drop the oldest ones if the folder is above its limit.

        Raises:
            TrainingError: it cannot be written.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, suffix=_PARTIAL, delete=False) as file:
                try:
                    np.savez_compressed(file, **arrays)
                    file.flush()
                    os.replace(file.name, path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            size = path.stat().st_size
        except OSError as error:
            raise TrainingError(
                f"{self.setting}: cannot write {path}: {error.strerror}; free some space, or choose another "
                "folder or null"
            ) from error
        self._account(size)

    def _account(self, size: int) -> None:
        if self._written is None or self._written + size > self.limit * _MEASURE_EVERY:
            self.evict()
            self._written = 0
        else:
            self._written += size

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(item[1] for item in self._entries())

    def evict(self) -> None:
        """Drop the oldest entries above the limit and leftovers of killed writers."""
        for leftover in self.folder.glob(f"*/*{_PARTIAL}"):
            if time.time() - _stat(leftover)[0] > _STALE_S:
                leftover.unlink(missing_ok=True)
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        if total <= self.limit:
            return
        dropped = 0
        for _, size, path in entries:
            if total - dropped <= self.limit * _KEEP:
                break
            path.unlink(missing_ok=True)
            dropped += size
        logger.info("%s: dropped %.1f MB, limit is %.1f MB", self.setting, dropped / 1e6, self.limit / 1e6)

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(time written, bytes, path) of every entry that is still there."""
        found = [(*_stat(path), path) for path in self.folder.glob(f"*/*{SUFFIX}")]
        return [item for item in found if item[1] > 0]


def _stat(path: Path) -> tuple[float, int]:
    """Time written and bytes; (now, 0) if another process has dropped the file meanwhile."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return time.time(), 0
    return status.st_mtime, status.st_size
