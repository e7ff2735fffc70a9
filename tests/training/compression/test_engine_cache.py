"""A user's cache of TensorRT's engines has none of networks that were only tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distill_perception.bundle import Bundle
from distill_perception.engines import Engine, EngineSettings, onnxruntime, tensorrt
from distill_perception.engines.tensorrt.build import BuildRequest
from distill_perception.engines.tensorrt.cuda import Gpu
from distill_perception.engines.tensorrt.library import Library
from distill_perception.engines.tensorrt.store import VARIABLE, EngineStore
from tests.support.tiny_compression import compress_recipe
from training.compression import chain
from training.export.write_bundle import ExportRequest, write_bundle

pytestmark = pytest.mark.slow

GPU = Gpu(0, "Fake GPU", 86, "13.0")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's; TensorRT is ONNX Runtime here, with a store that gets an engine for each form."""
    built: list[Path] = []

    def open_model(bundle: Bundle, settings: EngineSettings) -> Engine:
        opened = onnxruntime.open_model(bundle, replace(settings, device="cpu"))
        store = EngineStore()
        key = BuildRequest(bundle, opened.precision).key(Library("tensorrt", "10.3.0", None), GPU)
        store.write(key, b"engine", bundle.manifest.name)
        built.append(store.folder)
        return opened

    monkeypatch.setattr(tensorrt, "open_model", open_model)
    monkeypatch.setattr(tensorrt, "problem", lambda device: None if device == "cuda" else "GPUs only")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    yield tmp_path / "cache"
    assert built


def test_compress_keeps_the_engines_of_its_points_in_its_own_folder(
    student: Path, tmp_path: Path, cache: Path
) -> None:
    steps = [{"do": "sparsify", "share": 0.1}]
    spec = compress_recipe(student, engine="tensorrt", device="cuda", steps=steps)
    chain.compress(spec, tmp_path / "out", say=lambda _: None)
    points = {entry.key.onnx_sha256 for entry in EngineStore(tmp_path / "out" / "engines").entries()}
    assert len(points) == 2
    assert not cache.exists()


def test_export_leaves_no_engine_behind(student: Path, tmp_path: Path, cache: Path) -> None:
    write_bundle(ExportRequest(student, tmp_path / "out" / "bundle", "1.0.0", "Apache-2.0", (), "export"))
    assert [place.name for place in (tmp_path / "out").iterdir()] == ["bundle"]
    assert not list((tmp_path / "out").rglob("*.engine"))
    assert not cache.exists()
