"""Bundles and clients for the node's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ros_process import Client, own_domain
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segmentation and detection, 64x48."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", ("segmentation", "detection"))


@pytest.fixture(scope="module")
def domain() -> int:
    return own_domain()


@pytest.fixture(scope="module")
def client(domain: int) -> Iterator[Client]:
    client = Client(domain)
    yield client
    client.close()
