"""Torch data sets over sources."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from training.data.augment import Augmenter
from training.data.sample import Sample
from training.data.sampler import Draw, generator
from training.data.sources import Source


class TrainingFrames(Dataset[Sample]):
    """Augmented samples. What a `Draw` gives depends on it and the seed, not on the worker or the order."""

    def __init__(self, source: Source, augmenter: Augmenter, seed: int) -> None:
        self.source = source
        self.augmenter = augmenter
        self.seed = seed

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, draw: Draw) -> Sample:
        return self.augment(self.source[draw.index], draw)

    def augment(self, sample: Sample, draw: Draw) -> Sample:
        """`sample` changed as this draw of the source's frame is."""
        rng = generator(self.seed, draw.epoch, draw.position)
        return self.augmenter(sample, rng, self._any_frame)

    def _any_frame(self, rng: np.random.Generator) -> Sample:
        return self.source[int(rng.integers(len(self.source)))]


class PlainFrames(Dataset[Sample]):
    """Samples as the source gives them."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        return self.source[index]
