"""What tests of compression share."""

from pathlib import Path

import pytest

from tests.support.tiny_nets import BOTH
from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.models.spec import FpnSpec, ModelSpec
from training.train import train


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, of both tasks."""
    root = tmp_path_factory.mktemp("student")
    folders = write_color_blocks(root / "t", 8, 1, True), write_color_blocks(root / "v", 4, 2, True)
    model = ModelSpec(encoder="squeezenet1_1", pretrained=False, decoder=FpnSpec(width=16), tasks=BOTH)
    train(tiny_recipe(*folders, epochs=1, model=model), root / "run")
    return root / "run"
