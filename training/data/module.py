"""Lightning data module over any mixture of sources."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.augment import Augmenter
from training.data.cache import DiskCache, MemoryCache
from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.data.frames import PlainFrames, TrainingFrames
from training.data.resize import Resized
from training.data.sample import Batch, collate
from training.data.sampler import EpochSampler
from training.data.source_spec import SourceSpec
from training.data.sources import Source, open_source
from training.data.sources.base import Mapped, Mixture
from training.data.spec import DataSpec
from training.errors import TrainingError, TrainingWarning


def prepare_source(source: SourceSpec, spec: DataSpec, target: ClassSet) -> Mapped:
    """A source at the wanted size, in the student's classes, cached on disk if the recipe says so.

    Raises:
        TrainingError: its files are missing or do not fit each other, or its classes have no counterpart.
    """
    found: Source = Resized(open_source(source), spec.size, spec.resize)
    if spec.cache.folder is not None:
        found = DiskCache(found, spec.cache.folder)
    return Mapped(found, target, source.classes)


class SampleDataModule(L.LightningDataModule):
    """Training and validation sources of a recipe, as `Batch`.

    Every process validates on all frames: sharing them out would need padding, which changes scores.

    Args:
        batch: frames in a training batch of all processes together.

    Attributes:
        class_set: the student's.
        train: all training frames, without augmentation; None before `setup`.
        val: one source for each of the recipe's.
        augment: how training frames are changed. A later stage may set another one; it holds from the next
            `train_dataloader` on.
        first_epoch: the epoch that training begins with; not 0 when it is resumed.
    """

    def __init__(self, spec: DataSpec, batch: int, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.batch = batch
        self.seed = seed
        self.class_set = class_set(spec.class_set)
        self.augment = spec.augment
        self.first_epoch = 0
        self.train: Mixture | None = None
        self.val: list[Source] = []
        self._memory_left = spec.cache.memory_mb * 2**20

    def setup(self, stage: str | None = None) -> None:
        """Open the sources and decode what the memory cache holds.

        Raises:
            TrainingError: a source is unusable, or the training frames do not fill one batch.
        """
        if stage in (None, "fit") and self.train is None:
            parts = [self._open(source) for source in self.spec.train]
            self.train = Mixture(parts, [source.repeat for source in self.spec.train])
            if len(self.train) < self.batch:
                raise TrainingError(f"{len(self.train)} frames do not fill one batch of {self.batch}")
        if not self.val:
            self.val = [self._open(source) for source in self.spec.val]

    def _open(self, spec: SourceSpec) -> Source:
        source = prepare_source(spec, self.spec, self.class_set)
        if source.without_boxes and source[0].has_boxes:
            warnings.warn(
                f"source '{spec.name}' has boxes, but none of {', '.join(source.without_boxes)}: of these it "
                "teaches nothing, neither that there are some nor that there are none",
                TrainingWarning,
                stacklevel=2,
            )
        cached = MemoryCache(source, self._memory_left)
        self._memory_left -= cached.used_bytes
        return cached

    @property
    def steps_per_epoch(self) -> int:
        """Training batches in an epoch."""
        return len(self._frames()) // self.batch

    def class_frequencies(self, most: int = 2000) -> Tensor:
        """Share of each class among the labelled training pixels, float64 [C].

        Args:
            most: look at no more frames than that, evenly spread.
        """
        frames, classes = self._frames(), len(self.class_set)
        counts = np.zeros(256, np.int64)
        for index in np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)):
            counts += np.bincount(frames[int(index)].mask.reshape(-1), minlength=256)
        return torch.from_numpy(counts[:classes] / max(1, counts[:classes].sum()))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Augmented batches, the same for a seed and epoch however many workers and processes there are.

        Raises:
            TrainingError: the batch cannot be shared out among the processes.
        """
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if self.batch % world:
            raise TrainingError(f"a batch of {self.batch} cannot be shared out to {world} processes equally")
        frames = TrainingFrames(self._frames(), Augmenter(self.augment, self.class_set), self.seed)
        sampler = EpochSampler(len(frames), self.batch, self.seed, rank, world)
        # Workers fetch ahead before Lightning tells a resumed run's sampler its epoch.
        sampler.set_epoch(self.first_epoch)
        # Workers are forks: they would wait for OpenCV's threads, which a fork lacks, for ever.
        cv2.setNumThreads(1)
        samples, together = self._reading(frames)
        return DataLoader(
            samples,
            self.batch // world,
            sampler=sampler,
            collate_fn=together,
            num_workers=self.spec.workers,
            persistent_workers=self.spec.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _reading(self, frames: TrainingFrames) -> tuple[Dataset[Any], Callable[[Any], Batch]]:
        """What the loader's workers read, and how that becomes a batch; subclasses may add to both."""
        return frames, collate

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Whole frames in order, one loader for each validation source."""
        return [DataLoader(PlainFrames(source), self.batch, collate_fn=collate) for source in self.val]

    def _frames(self) -> Mixture:
        if self.train is None:
            self.setup("fit")
        assert self.train is not None
        return self.train
