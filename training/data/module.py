"""Lightning data module over labelled folders, decoded once and kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.augment import training_transform
from training.data.labelled_folder import read_folder
from training.data.sample import VOID_ID, Sample
from training.recipe import DataSpec


class SampleDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples as (image uint8 [3,H,W] RGB, mask int64 [H,W])."""

    def __init__(self, samples: list[Sample], transform: Callable[..., dict[str, Any]] | None = None) -> None:
        self.samples = samples
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index]
        image, mask = sample.image, sample.mask
        if self.transform is not None:
            out = self.transform(image=image, mask=mask)
            image, mask = out["image"], out["mask"]
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(mask).long()


def class_frequencies(samples: list[Sample], classes: int) -> Tensor:
    """Share of each class among the labelled pixels, float [classes]; void is left out."""
    counts = np.zeros(VOID_ID + 1, np.int64)
    for sample in samples:
        counts += np.bincount(sample.mask.reshape(-1), minlength=VOID_ID + 1)
    labelled = counts[:classes]
    return torch.from_numpy(labelled / max(1, labelled.sum()))


class FolderDataModule(L.LightningDataModule):
    """Training and validation folders of a recipe."""

    def __init__(self, spec: DataSpec, batch: int, seed: int) -> None:
        super().__init__()
        self.spec = spec
        self.batch = batch
        self.seed = seed
        self.train: list[Sample] = []
        self.val: list[list[Sample]] = []

    def setup(self, stage: str | None = None) -> None:
        if self.val:
            return
        if stage in (None, "fit"):
            for source in self.spec.train:
                self.train += list(read_folder(source.path, self.spec.size)) * source.repeat
        self.val = [list(read_folder(source.path, self.spec.size)) for source in self.spec.val]

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        transform = training_transform(self.spec.crop, self.spec.scale, self.seed)
        return DataLoader(
            SampleDataset(self.train, transform),
            self.batch,
            shuffle=True,
            drop_last=True,
            num_workers=self.spec.workers,
            persistent_workers=self.spec.workers > 0,
        )

    def val_dataloader(self) -> list[DataLoader[tuple[Tensor, Tensor]]]:
        return [DataLoader(SampleDataset(samples), self.batch) for samples in self.val]
