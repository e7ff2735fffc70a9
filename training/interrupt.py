"""Ctrl-C ends a training wherever it strikes."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback


class StopOnInterrupt(Callback):
    """Remember Ctrl-C and raise it again at the next batch.

    Of the interrupts that strike just when a checkpoint is there, one in some tens is lost on its way up
    (where is not known): the training went on.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(self._before):
            signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._before(number, frame)

    def on_train_batch_start(self, *_: Any) -> None:
        self._raise_again()

    def on_validation_batch_start(self, *_: Any) -> None:
        self._raise_again()

    def _raise_again(self) -> None:
        if self._asked:
            raise KeyboardInterrupt

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if signal.getsignal(signal.SIGINT) == self._note:  # Lightning ignores Ctrl-C once it has had one
            signal.signal(signal.SIGINT, self._before)
