"""Frames that cut networks are scored on."""

import shutil
from pathlib import Path

import pytest

from tests.support.tiny_training import SIZE, write_color_blocks
from training.compression.pruning.run import labelled_frames
from training.data.module import SampleDataModule
from training.data.sample import Sample
from training.data.source_spec import FolderSpec, ImagesSpec
from training.data.spec import DataSpec
from training.errors import TrainingError


@pytest.fixture
def labelled(tmp_path: Path) -> FolderSpec:
    return FolderSpec(name="labelled", path=write_color_blocks(tmp_path / "labelled", 8, 1))


@pytest.fixture
def plain(tmp_path: Path) -> ImagesSpec:
    folder = write_color_blocks(tmp_path / "plain", 8, 2)
    shutil.rmtree(folder / "labels")
    return ImagesSpec(name="plain", path=folder)


def frames(train: FolderSpec | ImagesSpec, val: FolderSpec | ImagesSpec, count: int) -> list[Sample]:
    data = SampleDataModule(DataSpec(train=[train], val=[val], size=SIZE, workers=0), batch=2, seed=1)
    return labelled_frames(data, count)


def test_they_are_training_frames_evenly_spread(labelled: FolderSpec, tmp_path: Path) -> None:
    other = FolderSpec(name="val", path=write_color_blocks(tmp_path / "val", 3, 3))
    assert len(frames(labelled, other, 4)) == 4
    assert len(frames(labelled, other, 100)) == 8


def test_a_student_of_a_teacher_alone_is_scored_on_validation_frames(
    labelled: FolderSpec, plain: ImagesSpec
) -> None:
    assert len(frames(plain, labelled, 3)) == 4


def test_without_any_label_the_remedy_is_named(plain: ImagesSpec) -> None:
    with pytest.raises(TrainingError, match="have labels: use `layers: uniform`"):
        frames(plain, plain, 4)
