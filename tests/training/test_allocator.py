"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import numpy as np
if sys.argv[1] == "keep":
    from training.allocator import keep_freed_memory
    keep_freed_memory()
for turn in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(64 << 20, np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> list[int]:
    """Of each of eight arrays of 64 MiB, made and freed one after the other in a fresh process."""
    command = [sys.executable, "-c", COUNT, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [int(line) for line in done.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="LOUD: allocator NOT TESTED: no glibc here")
def test_a_large_array_lies_in_the_pages_of_the_one_before_it() -> None:
    left, kept = page_faults("leave"), page_faults("keep")
    assert min(left) >= 32  # huge pages of 2 MiB; thousands without them
    assert kept[0] >= 32
    assert max(kept[1:]) < 8
