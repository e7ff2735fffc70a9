"""TensorRT as it is here, and what it builds from and into."""

from pathlib import Path

import pytest

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines.tensorrt.library import Library
from distill_perception.engines.tensorrt.store import EngineStore
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def library() -> Library:
    pytest.importorskip(
        "tensorrt_rtx",
        reason="LOUD: TensorRT builds NOT TESTED: pip install tensorrt-rtx-cu13 (x86-64 Linux, Windows)",
    )
    import tensorrt_rtx

    return Library("tensorrt_rtx", str(tensorrt_rtx.__version__), tensorrt_rtx)


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "b", ("segmentation", "detection")))
