"""Training batches that bring a teacher's answers along, read from its cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import Dataset

from training.data.frames import TrainingFrames
from training.data.module import SampleDataModule
from training.data.sample import Batch, Sample, collate
from training.data.sampler import Draw
from training.data.sources.base import Mixture
from training.teachers.cache.fill import fill_frames
from training.teachers.cache.follow import Followed, collate_followed, follow, start
from training.teachers.cache.recall import Recall
from training.teachers.cache.teacher import CachedTeacher, CacheReader

Taught = tuple[Sample, Followed]


class TaughtDataModule(SampleDataModule):
    """A `SampleDataModule` whose training batches have `answers`; `learn_from` comes before training.

    Lightning calls `prepare_data` in one process of all, while the others wait: it asks the teacher about
    every training frame that the cache lacks. Afterwards nobody holds the teacher any more.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.prepare_data_per_node = False
        self._teacher: CachedTeacher | None = None
        self._reader: CacheReader | None = None
        self._stride = 1

    def learn_from(self, teacher: CachedTeacher, stride: int, box_stride: int) -> Recall:
        """Take answers from this teacher's cache; what is returned stands for it in the training step.

        Args:
            stride: pixels a cell of the student's logits. Class probabilities come at half of it: what lies
                between the student's cells, which it is deployed upsampled over, counts too.
            box_stride: pixels a cell of its detection maps.
        """
        self._teacher, self._reader, self._stride = teacher, teacher.reader(), max(1, stride // 2)
        return Recall(teacher.known, teacher.known_things, box_stride)

    def prepare_data(self) -> None:
        """Fill the cache; what is there is kept, whenever it is stopped.

        Raises:
            TrainingError: it cannot be written, or cannot hold all frames' answers.
        """
        if self._teacher is None:
            return
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        frames = self._frames()
        once = Mixture(frames.sources, [1] * len(frames.sources))
        fill_frames(self._teacher.to(device), once)

    def _reading(self, frames: TrainingFrames) -> tuple[Dataset[Any], Callable[[Any], Batch]]:
        assert self._reader is not None, "learn_from comes before training"
        self._teacher = None
        height, width = self.augment.crop
        cells = -(-height // self._stride), -(-width // self._stride)
        return TaughtFrames(frames, self._reader, cells), collate_taught


class TaughtFrames(Dataset[Taught]):
    """Augmented samples, and a teacher's answers in the same geometry from its cache.

    The teacher has seen the frame as it was read: whole, and without changes of light and weather.

    Args:
        size: height, width of the answers in cells.
    """

    def __init__(self, frames: TrainingFrames, reader: CacheReader, size: tuple[int, int]) -> None:
        self.frames = frames
        self.reader = reader
        self.size = size

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, draw: Draw) -> Taught:
        frame = self.frames.source[draw.index]
        answer = self.reader.outputs_for(frame.image)
        traced = replace(frame, trace=start(answer, *frame.size))
        sample = self.frames.augment(traced, draw)
        assert sample.trace is not None
        return sample, follow(answer, sample.trace, frame.size, self.size)


def collate_taught(items: Sequence[Taught]) -> Batch:
    """Samples of one size as a batch with answers."""
    samples, followed = zip(*items, strict=True)
    return replace(collate(samples), answers=collate_followed(followed))
