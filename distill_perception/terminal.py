"""What the commands show in a terminal: progress, tables, one-line errors."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from .progress import Progress

# What a file or a pipe gets is not folded: paths and topics are searched for there.
_UNBROKEN = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 1000

# Nearly all that is shown is somebody's data, and a path may hold [brackets] or :colons:. Colours are Text's.
OUT = Console(width=_UNBROKEN, highlight=False, markup=False, emoji=False)
ERR = Console(stderr=True, highlight=False, markup=False, emoji=False)

Item = TypeVar("Item")


def complain(text: str) -> None:
    """Write an error to stderr, the first line in red."""
    first, _, rest = text.partition("\n")
    ERR.print(f"error: {first}", style="bold red", soft_wrap=True)
    if rest:
        ERR.print(rest, soft_wrap=True)


def warn(text: str) -> None:
    """Write a warning to stderr; above the progress bars, if there are any."""
    ERR.print(f"warning: {text}", style="yellow", soft_wrap=True)


class _Warnings(logging.Handler):
    """Shows what this package logs; what other libraries log is not for a command's user."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def show_warnings() -> None:
    """Let warnings that modules log be shown as a command's own are."""
    logging.getLogger(__package__).addHandler(_Warnings(logging.WARNING))


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Progress on stderr: call the result with what is done, how much, and of how much (0: unknown).

    On a terminal the bars go when all is done; a log keeps how they ended.
    """
    columns = (
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=ERR, transient=ERR.is_terminal) as bars:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total or None)
            bars.update(tasks[what], completed=done)

        yield report


def counted(items: Iterable[Item], what: str, total: int, report: Progress) -> Iterator[Item]:
    """Pass items on and report how many have passed."""
    report(what, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        report(what, done, total)


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """A borderless table of names and values."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    return table
