"""Decoded samples kept in memory or on disk; a file that changes is read again."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from training.data.sample import Sample
from training.data.sources.base import Source
from training.errors import TrainingError

FORMAT_VERSION = 3
_ARRAYS = ("image", "mask", "boxes", "labels", "ignored", "ignored_labels")


def _bytes_of(sample: Sample) -> int:
    arrays = [getattr(sample, name) for name in (*_ARRAYS, "inside")]
    return sum(array.nbytes for array in arrays if array is not None)


class MemoryCache:
    """The first samples of a source that fit, read at once.

    Reading all at the start lets loader workers, which are forked later, share them.
    """

    def __init__(self, source: Source, limit_bytes: int) -> None:
        self.source = source
        self.class_set = source.class_set
        self.used_bytes = 0
        self._kept: dict[int, tuple[str, Sample]] = {}
        for index in range(len(source) if limit_bytes else 0):
            sample = source[index]
            if self.used_bytes + _bytes_of(sample) > limit_bytes:
                break
            self.used_bytes += _bytes_of(sample)
            self._kept[index] = source.key(index), sample

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        key, sample = self._kept.get(index, ("", None))
        return sample if sample is not None and key == self.source.key(index) else self.source[index]

    def key(self, index: int) -> str:
        return self.source.key(index)


class DiskCache:
    """Samples as compressed .npz files in a folder, named by their key; other runs may share it.

    Raises:
        TrainingError: the folder cannot be made or written to.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.class_set = source.class_set
        self.folder = folder

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        key = self.key(index)
        path = self.folder / key[:2] / f"{key}-v{FORMAT_VERSION}.npz"
        kept = _read(path)
        if kept is None:
            kept = self.source[index]
            _write(path, kept)
        return kept

    def key(self, index: int) -> str:
        return self.source.key(index)


def _read(path: Path) -> Sample | None:
    """None where there is no such file, or a damaged one."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            has_mask, has_boxes = file["flags"].tolist()
            arrays = {name: file[name] for name in _ARRAYS}
            arrays["inside"] = file["inside"] if "inside" in file.files else None
            return Sample(str(file["name"]), has_mask=bool(has_mask), has_boxes=bool(has_boxes), **arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, sample: Sample) -> None:
    """Write beside and rename, so that no other process ever reads half a file."""
    inside = {} if sample.inside is None else {"inside": sample.inside}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(
                    file,
                    name=np.array(sample.name),
                    **{key: getattr(sample, key) for key in _ARRAYS},
                    flags=np.array([sample.has_mask, sample.has_boxes]),
                    **inside,
                )
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise TrainingError(
            f"cannot write the cache file {path} ({error.strerror}): free some space, or set "
            "data.cache.folder to another place or to null"
        ) from error
