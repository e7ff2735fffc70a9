"""Tiny networks on one thread: waiting for a second one takes longer than the work itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from tests.support.exports import once_each

THREADS = "OMP_NUM_THREADS"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(THREADS, os.environ.get(THREADS, "1"))  # of the commands that tests run
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _each_network_exported_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"  # workers share it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", once_each(torch.onnx.export, folder))
        yield
