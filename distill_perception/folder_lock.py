"""A folder that one process at a time writes into."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[int] = set()  # file descriptors


def _let_go_in_child() -> None:
    """A fork, a data loader's worker for instance, would keep the lock when its parent has been killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_child)


@contextmanager
def locked_folder(folder: Path, taken: Callable[[str], Exception]) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder that exists, until the end.

    The lock is on the folder itself: it ends with the process, however that ends, and leaves no file. Where
    the file system has no locks, as some over networks have none, nobody is kept out.

    Args:
        taken: makes the error that is raised where another process is there, from a text like " (pid 12)",
            which is empty where the system does not tell.

    Raises:
        OSError: the folder cannot be opened.
    """
    handle = os.open(folder, os.O_RDONLY)  # Python closes it in programs that are started (PEP 446)
    _held.add(handle)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise taken(_holder(os.fstat(handle).st_ino)) from error
        except OSError:
            pass
        yield
    finally:
        if handle in _held:  # not in a fork
            _held.remove(handle)
            os.close(handle)


def _holder(inode: int) -> str:
    try:
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for fields in map(str.split, locks):  # 1: FLOCK ADVISORY WRITE <pid> <device>:<inode> 0 EOF
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return f" (pid {fields[4]})"
    return ""
