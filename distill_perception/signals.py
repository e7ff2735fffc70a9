"""Signals while a bag is written."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Signals that end the writing are only noted, in the list: one within a write would spoil the file."""
    caught: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        numbers.append(signal.SIGHUP)
    before = {
        number: signal.signal(number, lambda caught_now, _frame: caught.append(caught_now))
        for number in numbers
    }
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def until_stopped(items: Iterable[Item], stopping: Sequence[int]) -> Iterator[Item]:
    """Pass items on; once a signal is noted, raise KeyboardInterrupt with its number, whichever it was."""
    for item in items:
        if stopping:
            raise KeyboardInterrupt(stopping[0])
        yield item
