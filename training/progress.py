"""The progress bar of a training."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar


class StageBar(TQDMProgressBar):
    """Names the stage, its epoch and how many it has."""

    def __init__(self, title: str) -> None:
        super().__init__(refresh_rate=5)
        self.title = title

    def on_train_epoch_start(self, trainer: L.Trainer, *_: object) -> None:
        super().on_train_epoch_start(trainer, *_)
        self.train_progress_bar.set_description(
            f"{self.title} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        )
