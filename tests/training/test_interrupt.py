"""A Ctrl-C that Python drops, as it does in finalizers, still ends the training."""

import signal
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training import trainer
from training.train import train


class DroppedInterrupt(Callback):
    """Ctrl-C in the second epoch's first batch, where the exception is lost."""

    def on_train_batch_end(self, trainer: object, *_: object) -> None:
        if trainer.current_epoch == 1 and trainer.global_step == 3:  # type: ignore[attr-defined]
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_a_dropped_interrupt_ends_the_training_at_the_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = write_color_blocks(tmp_path / "blocks", 8)
    made = trainer.make_trainer

    def with_interrupt(*arguments: object) -> object:
        found = made(*arguments)  # type: ignore[arg-type]
        found.callbacks.append(DroppedInterrupt())  # type: ignore[attr-defined]
        return found

    monkeypatch.setattr(trainer, "make_trainer", with_interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tiny_recipe(blocks, blocks, epochs=4), tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0
