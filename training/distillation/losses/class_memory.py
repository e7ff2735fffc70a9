"""A store of the newest feature vectors of each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassMemory(nn.Module):
    """Ring buffers of `slots` vectors of `channels` values for each class.

    Buffers, so that a checkpoint holds them and a resumed run goes on the same; under DDP all processes have
    the first one's.
    """

    bank: Tensor
    written: Tensor

    def __init__(self, classes: int, slots: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("bank", torch.zeros(classes, slots, channels))
        self.register_buffer("written", torch.zeros(classes, dtype=torch.long))

    @torch.no_grad()
    def push(self, index: int, vectors: Tensor) -> None:
        """Store `vectors` [K,channels] of class `index` over its oldest ones; no more than the slots."""
        slots = self.bank.shape[1]
        vectors = vectors[:slots].to(self.bank.dtype)
        places = (self.written[index] + torch.arange(len(vectors), device=self.bank.device)) % slots
        self.bank[index, places] = vectors
        self.written[index] += len(vectors)

    def vectors(self) -> Tensor:
        """All that is stored, [K,channels], class by class."""
        slots = torch.arange(self.bank.shape[1], device=self.bank.device)
        return self.bank[slots < self.written[:, None]]
