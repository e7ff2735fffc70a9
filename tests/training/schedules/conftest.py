"""Data for tiny trainings."""

from pathlib import Path

import pytest

from tests.support.tiny_training import write_color_blocks


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Training and validation frames."""
    root = tmp_path_factory.mktemp("blocks")
    return write_color_blocks(root / "train", 8, 1, boxes=True), write_color_blocks(
        root / "val", 2, 2, boxes=True
    )
