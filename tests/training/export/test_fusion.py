"""What exporter and engines make of a network's layers."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from distill_perception.errors import EngineError
from tests.support.tiny_training import untrained_run
from training.export import fusion as fusing
from training.export.fusion import Fusion, fusion_of, render


@pytest.fixture(scope="module", params=[None, "asymmetric"])
def fusion(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fusion:
    """Also of a run that simulated INT8, whose simulation is no part of the network."""
    return fusion_of(untrained_run(tmp_path_factory.mktemp("fusion"), qat=request.param))


def test_batch_norms_are_folded_and_nothing_else_changes(fusion: Fusion) -> None:
    traced, exported = fusion.graphs["traced"], fusion.graphs["exported"]
    assert traced["BatchNormalization"] > 0
    assert exported["BatchNormalization"] == 0
    assert exported["Conv"] == traced["Conv"]
    assert fusion.graphs["onnxruntime"].total() < exported.total()
    assert fusion.difference < 1e-3


def test_tensorrt_is_asked_where_it_builds(fusion: Fusion) -> None:
    pytest.importorskip(
        "tensorrt_rtx",
        reason="LOUD: fusion by TensorRT NOT TESTED: pip install tensorrt-rtx-cu13 (x86-64 Linux, Windows)",
    )
    assert fusion.missing == ""
    (name,) = (name for name in fusion.graphs if name.startswith("tensorrt"))
    assert 0 < fusion.graphs[name].total() < fusion.graphs["exported"].total()
    assert name in shown(fusion)


def test_where_tensorrt_does_not_build_the_table_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise EngineError("no TensorRT for Python is installed; pip install tensorrt[rtx]")

    monkeypatch.setattr(fusing, "find_library", absent)
    fusion = fusion_of(untrained_run(tmp_path))
    assert list(fusion.graphs) == ["traced", "exported", "onnxruntime", "openvino"]
    assert "without TensorRT: no TensorRT for Python is installed; pip install tensorrt[rtx]" in shown(fusion)


def shown(fusion: Fusion) -> str:
    """The table's text, whose lines are broken anywhere."""
    console = Console(width=200, file=StringIO(), record=True)
    console.print(render(fusion))
    return " ".join(console.export_text().split())
