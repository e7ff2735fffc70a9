"""Decoded samples kept in memory or on disk; a file that changes is read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.array_store import Arrays, ArrayStore
from training.data.sample import Sample
from training.data.sources.base import Source

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
    """Samples in a folder, named by their key; other runs may share it.

    Raises:
        TrainingError: the folder cannot be made or written to.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.class_set = source.class_set
        self.store = ArrayStore(folder, "data.cache.folder")

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        name = f"{self.key(index)}-v{FORMAT_VERSION}"
        arrays = self.store.get(name)
        if arrays is not None:
            return _sample(arrays)
        sample = self.source[index]
        self.store.put(name, _arrays(sample))
        return sample

    def key(self, index: int) -> str:
        return self.source.key(index)


def _arrays(sample: Sample) -> Arrays:
    flags = np.array([sample.has_mask, sample.has_boxes])
    inside = {} if sample.inside is None else {"inside": sample.inside}
    arrays = {key: getattr(sample, key) for key in _ARRAYS}
    return {"name": np.array(sample.name), "flags": flags, **arrays, **inside}


def _sample(arrays: Arrays) -> Sample:
    """The inverse of `_arrays`."""
    has_mask, has_boxes = arrays["flags"].tolist()
    kept = {key: arrays[key] for key in _ARRAYS}
    return Sample(
        str(arrays["name"]),
        has_mask=has_mask,
        has_boxes=has_boxes,
        inside=arrays.get("inside"),
        **kept,
    )
