"""How the C library gives memory back."""

from __future__ import annotations

import ctypes

# malloc.h of glibc
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Let freed memory stay with the process, for the next layer's maps to lie in.

    By default glibc returns each large block to the kernel and asks for it again, which empties every page of
    it: of a training on a CPU that was a tenth of the time. The process stays as large as it was at most.
    Other C libraries are left as they are.

    Source: `man 3 mallopt`, M_MMAP_MAX and M_TRIM_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
