"""Which frame comes when: an order that depends on seed and epoch alone, shared out between processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """A frame's index, and what with the seed sets its augmentation: epoch and place in the epoch."""

    index: int
    epoch: int
    position: int


class EpochSampler(Sampler[Draw]):
    """A new random order each epoch, cut to whole batches.

    Process `rank` of `world` gets every world-th frame of each batch, so all processes' batches together are
    the batches that one process would get. Lightning calls `set_epoch`, after a resume too; its own
    distributed sampler must be switched off (`use_distributed_sampler=False`), or frames are shared out
    twice.

    Args:
        length: frames in the set.
        batch: frames in a batch of all processes together.
    """

    def __init__(self, length: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length = length
        self.batch = batch
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // self.batch * (self.batch // self.world)

    def __iter__(self) -> Iterator[Draw]:
        order = generator(self.seed, self.epoch).permutation(self.length)
        for start in range(0, self.length - self.batch + 1, self.batch):
            for position in range(start + self.rank, start + self.batch, self.world):
                yield Draw(int(order[position]), self.epoch, position)


def generator(seed: int, *place: int) -> np.random.Generator:
    """A random generator of its own for each seed and place."""
    return np.random.default_rng([seed % 2**32, *place])
