"""A bundle's graphs and manifest say what the recipe says."""

from pathlib import Path

import pytest

from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import untrained_run
from training.export import draft
from training.export.draft import draft_bundle
from training.run_folder import load_model


@pytest.mark.parametrize("rule", ["letterbox", "stretch"])
def test_the_vehicle_resizes_frames_by_the_rule_that_training_did(
    tmp_path: Path, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "write_onnx", lambda *arguments: arguments[3].write_bytes(b"a graph"))
    recipe, _ = load_model(untrained_run(tmp_path))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"resize": rule})})
    bundle = draft_bundle(tiny_net(), recipe, tmp_path / "bundle")
    assert bundle.manifest.input.resize == rule
