"""A Ctrl-C whose exception is lost on its way up still ends the training."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training import trainer
from training.progress import StageBar
from training.train import train


class DroppingBar(StageBar):
    """Presses Ctrl-C after the second epoch's first batch and drops the exception."""

    def on_train_batch_end(self, trainer: L.Trainer, *rest: Any) -> None:
        super().on_train_batch_end(trainer, *rest)
        if trainer.current_epoch == 1 and trainer.global_step == 3:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_a_dropped_interrupt_ends_the_training_at_the_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = write_color_blocks(tmp_path / "blocks", 8)  # two batches an epoch
    monkeypatch.setattr(trainer, "StageBar", DroppingBar)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tiny_recipe(blocks, blocks, epochs=4), tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0
