"""What a source of samples is, and the wrappers that change what another one gives."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.class_set import ClassSet
from training.data.class_sets import DROPPED, Overrides, label_mapping, mapping
from training.data.sample import Sample, no_boxes, no_labels

Boxes, Labels = NDArray[np.float32], NDArray[np.int64]


class Source(Protocol):
    """Samples by index, read when asked for, in one class set.

    Reading raises TrainingError or BagError where a file is missing, damaged, or does not fit its neighbours.
    """

    class_set: ClassSet

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def key(self, index: int) -> str:
        """Digest that changes when the sample would: caches go by it."""
        ...


def file_key(files: Iterable[Path], *settings: object) -> str:
    """Digest of the files' paths, sizes and times of change, and of the settings they are read with."""
    digest = hashlib.sha256(repr(settings).encode())
    for file in files:
        try:
            stat = os.stat(file)
            state = f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            state = "absent"
        digest.update(f"{os.path.abspath(file)}\0{state}\0".encode())
    return digest.hexdigest()


def every_nth(streams: Iterable[str], every: int) -> list[int]:
    """Indices of every n-th frame of each stream, whose name is given for each frame, in their order."""
    seen: Counter[str] = Counter()
    taken = []
    for index, stream in enumerate(streams):
        if seen[stream] % every == 0:
            taken.append(index)
        seen[stream] += 1
    return taken


class Selected:
    """Some of a source's frames, perhaps with masks or boxes hidden."""

    def __init__(self, source: Source, indices: Sequence[int], use_masks: bool, use_boxes: bool) -> None:
        self.source = source
        self.class_set = source.class_set
        self.indices = indices
        self.use_masks = use_masks
        self.use_boxes = use_boxes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[self.indices[index]]
        if not self.use_masks:
            hidden = np.full_like(sample.mask, self.class_set.void_id)
            sample = dataclasses.replace(sample, mask=hidden, has_mask=False)
        if not self.use_boxes:
            sample = dataclasses.replace(
                sample,
                boxes=no_boxes(),
                labels=no_labels(),
                has_boxes=False,
                ignored=no_boxes(),
                ignored_labels=no_labels(),
            )
        return sample

    def key(self, index: int) -> str:
        return file_key([], self.source.key(self.indices[index]), self.use_masks, self.use_boxes)


class Mapped:
    """A source in another class set; boxes without a counterpart there are dropped.

    Nobody knows where things are that no box of this source can be of: for them the whole frame is ignored.

    Attributes:
        without_boxes: the names of these things.
    """

    def __init__(self, source: Source, target: ClassSet, overrides: Overrides) -> None:
        self.source = source
        self.class_set = target
        self._masks = mapping(source.class_set, target, overrides)
        self._labels = label_mapping(source.class_set, target, overrides)
        unknown = [item for item in target.things if item.id not in self._labels]
        self.without_boxes = tuple(item.name for item in unknown)
        self._unknown = np.array([item.id for item in unknown], np.int64)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        boxes, labels = self._mapped(sample.boxes, sample.labels)
        ignored, ignored_labels = self._mapped(sample.ignored, sample.ignored_labels)
        if sample.has_boxes and len(self._unknown):
            whole = np.array([0, 0, *sample.size[::-1]], np.float32)
            ignored = np.vstack([ignored, np.tile(whole, (len(self._unknown), 1))])
            ignored_labels = np.concatenate([ignored_labels, self._unknown])
        return dataclasses.replace(
            sample,
            mask=self._masks[sample.mask],
            boxes=boxes,
            labels=labels,
            ignored=ignored,
            ignored_labels=ignored_labels,
        )

    def _mapped(self, boxes: Boxes, labels: Labels) -> tuple[Boxes, Labels]:
        found = self._labels[labels]
        kept = found != DROPPED
        return boxes[kept], found[kept]

    def key(self, index: int) -> str:
        return file_key([], self.source.key(index), self._masks.tobytes(), self._labels.tobytes())


class Mixture:
    """Several sources of one class set one after another, each as often as asked for."""

    def __init__(self, sources: list[Source], repeats: list[int]) -> None:
        self.class_set = sources[0].class_set
        self.sources = sources
        self.repeats = repeats
        lengths = [len(source) * repeat for source, repeat in zip(sources, repeats, strict=True)]
        self._ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Sample:
        source, inner = self._place(index)
        return source[inner]

    def key(self, index: int) -> str:
        source, inner = self._place(index)
        return source.key(inner)

    def _place(self, index: int) -> tuple[Source, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[which - 1]) if which else 0
        return self.sources[which], (index - before) % len(self.sources[which])
