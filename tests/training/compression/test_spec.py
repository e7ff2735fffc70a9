"""Compress recipes: the shipped ones are valid, mistakes are named before anything runs."""

from pathlib import Path

import pytest
import yaml

from training.compression.spec import load_compress_recipe
from training.errors import TrainingError

RECIPES = sorted((Path(__file__).parents[3] / "training" / "recipes" / "compress").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert load_compress_recipe(path).steps


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"do": "prune"}, "'channels', 'sparsify', 'finetune'"),
        ({"do": "channels", "latency": 1.5}, "steps.0.channels.latency"),
        ({"do": "quantize", "calibrater": "mse"}, "did you mean 'calibrator'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, step: dict[str, object], message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "x", "run": "runs/x", "steps": [step]}))
    with pytest.raises(TrainingError, match=message):
        load_compress_recipe(path)
