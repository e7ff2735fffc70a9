"""Reading labelled folders."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.tiny_training import write_color_blocks
from training.data.class_sets import CAMVID
from training.data.labelled_folder import list_pairs, read_folder
from training.errors import TrainingError


def test_frames_are_read_as_rgb_with_their_labels(tmp_path: Path) -> None:
    folder = write_color_blocks(tmp_path / "f", frames=3)
    colors = np.array([item.color for item in CAMVID], np.uint8)
    samples = list(read_folder(folder, (64, 96)))
    assert [s.name for s in samples] == ["000", "001", "002"]
    for sample in samples:
        np.testing.assert_array_equal(sample.image, colors[sample.mask])


def test_other_sizes_are_brought_to_the_asked_one_without_new_class_ids(tmp_path: Path) -> None:
    folder = write_color_blocks(tmp_path / "f", frames=2)
    original = [set(np.unique(s.mask)) for s in read_folder(folder, (64, 96))]
    resized = list(read_folder(folder, (48, 72)))
    assert all(s.image.shape == (48, 72, 3) and s.mask.shape == (48, 72) for s in resized)
    assert [set(np.unique(s.mask)) for s in resized] == original


def test_missing_label_empty_folder_and_unknown_class_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no images in"):
        list_pairs(tmp_path)
    folder = write_color_blocks(tmp_path / "f", frames=2)
    (folder / "labels" / "001.png").unlink()
    with pytest.raises(TrainingError, match=r"001\.png has no label"):
        list_pairs(folder)
    cv2.imwrite(str(folder / "labels" / "001.png"), np.full((64, 96), 77, np.uint8))
    with pytest.raises(TrainingError, match="class id 77"):
        list(read_folder(folder, (64, 96)))
    cv2.imwrite(str(folder / "labels" / "001.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(TrainingError, match=r"but its label .* is \(10, 10\)"):
        list(read_folder(folder, (64, 96)))
