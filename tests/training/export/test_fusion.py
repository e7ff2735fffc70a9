"""What exporter and engines make of a network's layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_training import untrained_run
from training.export.fusion import fusion_of


@pytest.mark.parametrize("qat", [None, "asymmetric"])
def test_batch_norms_are_folded_and_nothing_else_changes(tmp_path: Path, qat: str | None) -> None:
    """Also of a run that simulated INT8, whose simulation is no part of the network."""
    fusion = fusion_of(untrained_run(tmp_path, qat=qat))
    traced, exported = fusion.graphs["traced"], fusion.graphs["exported"]
    assert traced["BatchNormalization"] > 0
    assert exported["BatchNormalization"] == 0
    assert exported["Conv"] == traced["Conv"]
    assert fusion.graphs["onnxruntime"].total() < exported.total()
    assert fusion.difference < 1e-3
