"""Sources in other class sets, and several as one."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_ids, write_rgb
from training.data.class_sets import class_set
from training.data.source_spec import FolderSpec, ImagesSpec, KittiObjectSpec
from training.data.sources import open_source
from training.data.sources.base import Mapped, Mixture


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """A labelled folder in Cityscapes' classes: road, bicycle, terrain, void."""
    for name in ("a", "b"):
        write_rgb(tmp_path / "images" / f"{name}.png", picture())
        write_ids(tmp_path / "labels" / f"{name}.png", blocks(0, 18, 9, 255))
    return tmp_path


def folder(path: Path) -> FolderSpec:
    return FolderSpec(name="f", path=path, class_set="cityscapes")


def test_masks_are_given_in_the_target_classes(city: Path) -> None:
    camvid = class_set("camvid")
    mapped = Mapped(open_source(folder(city)), camvid, {"terrain": None})
    np.testing.assert_array_equal(mapped[0].mask, blocks(3, 10, 11, 11))
    assert mapped.class_set is camvid


def test_boxes_without_a_counterpart_are_dropped(tmp_path: Path) -> None:
    write_rgb(tmp_path / "training" / "image_2" / "0.png", picture())
    label = tmp_path / "training" / "label_2" / "0.txt"
    label.parent.mkdir()
    rest = "0 0 0 {} 1 9 9 1 1 1 1 1 1 1"
    label.write_text("\n".join(f"{t} {rest.format(i)}" for i, t in enumerate(["Misc", "Tram", "Cyclist"])))
    mapped = Mapped(open_source(KittiObjectSpec(name="k", path=tmp_path)), class_set("camvid"), {})
    sample = mapped[0]
    assert sample.labels.tolist() == [8, 10]
    assert sample.boxes[:, 0].tolist() == [1, 2]
    assert sample.has_boxes
    assert mapped.without_boxes == ()
    wider = Mapped(mapped.source, class_set("coco"), {})
    assert "bus" in wider.without_boxes
    names = [class_set("coco").names[label] for label in wider[0].ignored_labels]
    assert set(wider.without_boxes) == set(names)  # where there are any, nobody said
    height, width = wider[0].size
    assert (wider[0].ignored == [0, 0, width, height]).all()
    assert len(mapped[0].ignored) == 0


def test_unlabelled_pictures_fit_any_class_set(city: Path) -> None:
    mapped = Mapped(open_source(ImagesSpec(name="i", path=city / "images")), class_set("coco"), {})
    assert set(mapped[0].mask.ravel()) == {255}
    assert mapped[0].has_mask is False


def test_a_mixture_holds_each_source_as_often_as_asked(city: Path) -> None:
    plain = open_source(ImagesSpec(name="i", path=city / "images", every=2))
    labelled = open_source(folder(city))
    mixture = Mixture([plain, labelled], [1, 2])
    names = [(mixture[i].name, mixture[i].has_mask) for i in range(len(mixture))]
    assert names == [("a", False), *[("a", True), ("b", True)] * 2]
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            mixture[wrong]


def test_a_key_changes_with_the_files_and_with_how_they_are_read(city: Path) -> None:
    source = open_source(folder(city))
    key, other = source.key(0), source.key(1)
    assert key == open_source(folder(city)).key(0) != other
    coarse = Mapped(source, class_set("camvid"), {})
    assert coarse.key(0) != key
    assert coarse.key(0) != Mapped(source, class_set("camvid"), {"terrain": None}).key(0)
    hidden = open_source(folder(city).model_copy(update={"use_masks": False}))
    assert hidden.key(0) != key
    label = city / "labels" / "a.png"
    stat = label.stat()
    os.utime(label, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert source.key(0) != key
    assert source.key(1) == other
