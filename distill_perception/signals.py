"""Signals that end a program, during work that they must not break into."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Those that end the program are only noted, in the list: one within a write would spoil the file."""
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


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let those that end the program wait for the end of work that could swallow them.

    Raises:
        KeyboardInterrupt: with the signal's number, afterwards.
    """
    if threading.current_thread() is not threading.main_thread():  # no other one is interrupted
        yield
        return
    with noted_signals() as stopping:
        yield
    if stopping:
        raise KeyboardInterrupt(stopping[0])


def until_stopped(items: Iterable[Item], stopping: Sequence[int]) -> Iterator[Item]:
    """Pass items on; once a signal is noted, raise KeyboardInterrupt with its number, whichever it was."""
    for item in items:
        if stopping:
            raise KeyboardInterrupt(stopping[0])
        yield item
