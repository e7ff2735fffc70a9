"""Cityscapes as published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_ids, write_rgb
from training.data.source_spec import CityscapesSpec
from training.data.sources import open_source
from training.errors import TrainingError

NAME = "aachen_000000_000019"


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """One frame: road, a car (26), a group of cars, a caravan (29, not scored), a pole."""
    write_rgb(tmp_path / "leftImg8bit" / "train" / "aachen" / f"{NAME}_leftImg8bit.png", picture())
    labels = blocks(7, 26, 26, 17)
    instances = labels.astype(np.uint16)
    instances[4:9, 5:7] = 26001
    labels[0:2, 0:4], instances[0:2, 0:4] = 29, 29000
    folder = tmp_path / "gtFine" / "train" / "aachen"
    write_ids(folder / f"{NAME}_gtFine_labelIds.png", labels)
    write_ids(folder / f"{NAME}_gtFine_instanceIds.png", instances)
    return tmp_path


def spec(path: Path, **changes: Any) -> CityscapesSpec:
    return CityscapesSpec(name="c", path=path, **changes)


def test_label_ids_become_train_ids_and_instances_boxes(city: Path) -> None:
    source = open_source(spec(city))
    sample = source[0]
    assert (len(source), sample.name, source.class_set.name) == (1, NAME, "cityscapes")
    np.testing.assert_array_equal(sample.image, picture())
    expected = blocks(0, 13, 13, 5)
    expected[0:2, 0:4] = 255
    np.testing.assert_array_equal(sample.mask, expected)
    np.testing.assert_array_equal(sample.boxes, [[5, 4, 7, 9]])  # neither the group nor the caravan
    assert sample.labels.tolist() == [13]
    assert (sample.has_mask, sample.has_boxes) == (True, True)


def test_each_connected_piece_of_a_group_or_of_what_is_not_scored_is_ignored(city: Path) -> None:
    sample = open_source(spec(city))[0]
    around_the_car, caravan = [4, 0, 12, 12], [0, 0, 4, 2]
    np.testing.assert_array_equal(sample.ignored, [around_the_car, caravan])
    assert sample.ignored_labels.tolist() == [13, 13]
    instances = blocks(7, 26, 26, 17).astype(np.uint16)
    instances[3:6] = 26001  # parts the group of cars
    instances[8:10, 0:3] = 24
    write_ids(city / "gtFine" / "train" / "aachen" / f"{NAME}_gtFine_instanceIds.png", instances)
    sample = open_source(spec(city))[0]
    np.testing.assert_array_equal(sample.boxes, [[0, 3, 16, 6]])
    np.testing.assert_array_equal(sample.ignored, [[0, 8, 3, 10], [4, 0, 12, 3], [4, 6, 12, 12]])
    assert sample.ignored_labels.tolist() == [11, 13, 13]


def test_ready_made_train_ids_are_preferred(city: Path) -> None:
    labels = city / "gtFine" / "train" / "aachen" / f"{NAME}_gtFine_labelTrainIds.png"
    write_ids(labels, blocks(0, 18, 255, 2))
    np.testing.assert_array_equal(open_source(spec(city))[0].mask, blocks(0, 18, 255, 2))
    write_ids(labels, blocks(0, 26, 255, 2))
    with pytest.raises(TrainingError, match=r"labelTrainIds\.png holds class id 26"):
        open_source(spec(city))[0]


def test_without_instances_boxes_are_not_known(city: Path) -> None:
    (city / "gtFine" / "train" / "aachen" / f"{NAME}_gtFine_instanceIds.png").unlink()
    assert open_source(spec(city))[0].has_boxes is False


def test_the_test_split_has_pictures_alone(city: Path) -> None:
    write_rgb(city / "leftImg8bit" / "test" / "berlin" / "berlin_000000_000019_leftImg8bit.png", picture())
    sample = open_source(spec(city, split="test"))[0]
    assert (sample.has_mask, sample.has_boxes, set(sample.mask.ravel())) == (False, False, {255})


def test_unknown_labels_missing_files_and_odd_names_are_named(city: Path) -> None:
    labels = city / "gtFine" / "train" / "aachen" / f"{NAME}_gtFine_labelIds.png"
    write_ids(labels, blocks(7, 40))
    with pytest.raises(TrainingError, match=r"labelIds\.png holds label id 40 \(96 pixels\).*0\.\.33"):
        open_source(spec(city))[0]
    labels.unlink()
    with pytest.raises(
        TrainingError, match=r"has no label: expected .*aachen_000000_000019_gtFine_labelIds\.png"
    ):
        open_source(spec(city))
    write_rgb(city / "leftImg8bit" / "val" / "x" / "photo.png", picture())
    with pytest.raises(TrainingError, match=r"photo\.png is not named as Cityscapes"):
        open_source(spec(city, split="val"))
    with pytest.raises(TrainingError, match=r"leftImg8bit/trian is not a folder"):
        open_source(spec(city, split="trian"))
