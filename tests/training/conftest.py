"""Tiny networks on one thread: waiting for a second one takes longer than the work itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

THREADS = "OMP_NUM_THREADS"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(THREADS, os.environ.get(THREADS, "1"))  # of the commands that tests run
        yield
    torch.set_num_threads(before)
