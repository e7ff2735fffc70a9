"""KITTI object and KITTI semantic as published."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_ids, write_rgb
from training.data.class_sets import class_set
from training.data.source_spec import KittiObjectSpec, KittiSemanticSpec
from training.data.sources import open_source
from training.data.sources.base import Mapped
from training.errors import TrainingError

LINES = """\
Truck 0.00 0 -1.57 5.99 1.56 9.40 10.33 2.85 2.63 12.34 0.47 1.49 69.44 -1.56
Person_sitting 0.00 3 -1.65 0.00 0.00 3.00 7.50 1.67 1.87 3.69 -16.53 2.39 58.49 1.57
DontCare -1 -1 -10 5.03 1.67 5.90 1.93 -1 -1 -1 -1000 -1000 -1000 -10
"""


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    for name in ("000000", "000001"):
        write_rgb(tmp_path / "training" / "image_2" / f"{name}.png", picture())
        (tmp_path / "training" / "label_2").mkdir(exist_ok=True)
        (tmp_path / "training" / "label_2" / f"{name}.txt").write_text(LINES if name == "000000" else "")
    write_rgb(tmp_path / "testing" / "image_2" / "000000.png", picture())
    return tmp_path


def test_objects_are_read_and_what_dont_care_covers_is_ignored_for_every_class(kitti: Path) -> None:
    source = open_source(KittiObjectSpec(name="k", path=kitti))
    first, second = source[0], source[1]
    assert (len(source), first.name) == (2, "000000")
    np.testing.assert_allclose(first.boxes, [[5.99, 1.56, 9.40, 10.33], [0, 0, 3, 7.5]])
    assert [source.class_set.names[i] for i in first.labels] == ["Truck", "Person_sitting"]
    assert (first.has_mask, first.has_boxes) == (False, True)
    assert (second.has_boxes, len(second.boxes), len(second.ignored)) == (True, 0, 0)
    np.testing.assert_allclose(first.ignored, np.tile([[5.03, 1.67, 5.90, 1.93]], (8, 1)))
    assert first.ignored_labels.tolist() == list(range(8))
    mapped = Mapped(source, class_set("camvid"), {})[0]
    assert set(mapped.ignored_labels.tolist()) == {8, 9, 10}
    assert len(open_source(KittiObjectSpec(name="k", path=kitti, use_boxes=False))[0].ignored) == 0


def test_parts_and_lists_choose_frames(kitti: Path) -> None:
    testing = open_source(KittiObjectSpec(name="k", path=kitti, part="testing"))
    assert (len(testing), testing[0].has_boxes) == (1, False)
    (kitti / "ImageSets").mkdir()
    (kitti / "ImageSets" / "val.txt").write_text("000001\n")
    chosen = open_source(KittiObjectSpec(name="k", path=kitti, split=Path("ImageSets/val.txt")))
    assert [chosen[i].name for i in range(len(chosen))] == ["000001"]


def test_faulty_objects_are_named_with_their_line(kitti: Path) -> None:
    label = kitti / "training" / "label_2" / "000000.txt"
    label.write_text(LINES.replace("Truck", "Trukc"))
    with pytest.raises(TrainingError, match=r"000000\.txt, line 1: type 'Trukc' \(did you mean 'Truck'\?\)"):
        open_source(KittiObjectSpec(name="k", path=kitti))[0]
    label.write_text(LINES + "Car 0.00 0 1.0 2.0 3.0\n")
    with pytest.raises(TrainingError, match=r"000000\.txt, line 4: expected 'type truncated"):
        open_source(KittiObjectSpec(name="k", path=kitti))[0]
    label.unlink()
    with pytest.raises(TrainingError, match=r"000000\.png has no label: expected .*label_2/000000\.txt"):
        open_source(KittiObjectSpec(name="k", path=kitti))


@pytest.fixture
def semantic(tmp_path: Path) -> Path:
    training = tmp_path / "training"
    labels = blocks(7, 26, 24, 22)
    instances = labels.astype(np.uint16) * 256
    instances[4:9, 5:7] += 1  # a car
    instances[2:12, 8:10] += 3  # a person
    write_rgb(training / "image_2" / "000000_10.png", picture())
    write_ids(training / "semantic" / "000000_10.png", labels)
    write_ids(training / "instance" / "000000_10.png", instances)
    return tmp_path


def test_semantic_labels_are_cityscapes_and_instances_boxes(semantic: Path) -> None:
    source = open_source(KittiSemanticSpec(name="k", path=semantic))
    sample = source[0]
    assert (source.class_set.name, sample.name) == ("cityscapes", "000000_10")
    np.testing.assert_array_equal(sample.mask, blocks(0, 13, 11, 9))
    np.testing.assert_array_equal(sample.boxes, [[8, 2, 10, 12], [5, 4, 7, 9]])
    assert sample.labels.tolist() == [11, 13]
    (semantic / "training" / "instance" / "000000_10.png").unlink()
    assert open_source(KittiSemanticSpec(name="k", path=semantic))[0].has_boxes is False


def test_semantic_things_without_a_number_are_ignored_for_their_class(semantic: Path) -> None:
    sample = open_source(KittiSemanticSpec(name="k", path=semantic))[0]
    np.testing.assert_array_equal(sample.ignored, [[8, 0, 12, 12], [4, 0, 8, 12]])
    assert sample.ignored_labels.tolist() == [11, 13]


def test_semantic_files_that_do_not_fit_are_named(semantic: Path) -> None:
    write_ids(semantic / "training" / "instance" / "000000_10.png", np.zeros((5, 6), np.uint16))
    with pytest.raises(TrainingError, match=r"instance/000000_10\.png is 6x5 but its picture"):
        open_source(KittiSemanticSpec(name="k", path=semantic))[0]
    write_ids(semantic / "training" / "semantic" / "000000_10.png", blocks(99))
    with pytest.raises(TrainingError, match=r"000000_10\.png holds label id 99"):
        open_source(KittiSemanticSpec(name="k", path=semantic))[0]
    (semantic / "training" / "semantic" / "000000_10.png").unlink()
    with pytest.raises(TrainingError, match=r"has no label: expected .*semantic/000000_10\.png"):
        open_source(KittiSemanticSpec(name="k", path=semantic))
