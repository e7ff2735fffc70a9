"""What exporter and engines make of a network's layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.compression.fake_quant import add_fake_quant
from training.export.fusion import fusion_of
from training.models.spec import ModelSpec
from training.run_folder import write_untrained


@pytest.mark.parametrize("qat", [None, "asymmetric"])
def test_batch_norms_are_folded_and_nothing_else_changes(tmp_path: Path, qat: str | None) -> None:
    """Also of a run that simulated INT8, whose simulation is no part of the network."""
    frames = write_color_blocks(tmp_path / "val", frames=2, boxes=True)
    spec = ModelSpec(
        pretrained=False,
        tasks=("segmentation", "detection"),
        width_multiplier=0.25,
        decoder_width=16,
        qat=qat,
    )
    net = tiny_net()
    if qat is not None:
        add_fake_quant(net, symmetric=False)
    recipe = tiny_recipe(frames, frames, model=spec)
    write_untrained(tmp_path / "run", recipe, net, None)
    fusion = fusion_of(tmp_path / "run")
    traced, exported = fusion.graphs["traced"], fusion.graphs["exported"]
    assert traced["BatchNormalization"] > 0
    assert exported["BatchNormalization"] == 0
    assert exported["Conv"] == traced["Conv"]
    assert fusion.graphs["onnxruntime"].total() < exported.total()
    assert fusion.difference < 1e-3
