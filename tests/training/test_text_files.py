"""Text files that people bring: one in another encoding is named, not met with a traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from training.compression.spec import load_compress_recipe
from training.data.sources.kitti import read_objects
from training.data.sources.reading import select_names
from training.errors import TrainingError
from training.teachers.sections import read_sections


@pytest.mark.parametrize(
    "read",
    [
        load_compress_recipe,
        read_sections,
        read_objects,
        lambda path: select_names([], path, path.parent),
    ],
    ids=["compress recipe", "sections", "KITTI's objects", "split file"],
)
def test_a_file_that_is_not_utf8_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("name: Stra\u00dfe".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"latin\.txt is not UTF-8 text .*: save it as UTF-8"):
        read(path)
