"""Labelled boxes of classes that are none."""

from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags.ground_truth import Boxes, number_or_name
from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.reader import open_bag
from distill_perception.bags.writer import write_bag
from distill_perception.bundle import load_bundle
from distill_perception.errors import ReplayError
from distill_perception.replay.label_checks import check_labels
from tests.support import drives
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.mark.parametrize(
    ("text", "number"), [("2", 2), ("255", 255), ("256", -1), ("9" * 20, -1), ("car", 7), ("tram", -1)]
)
def test_a_class_is_a_number_that_a_mask_can_hold_or_a_name(text: str, number: int) -> None:
    assert number_or_name({7: "car"})(text) == number


@pytest.mark.parametrize("number", [3, 300, 99999999999999999999])
@pytest.mark.parametrize("crowd", [False, True])
def test_a_box_of_another_class_is_refused_by_the_class_as_it_was_written(
    number: int, crowd: bool, tmp_path: Path
) -> None:
    corners, labels = np.array([[1.0, 2.0, 30.0, 40.0]]), np.array([number], object)
    none = np.zeros((0, 4)), np.zeros(0, np.int64)
    boxes = Boxes(*none, corners, labels) if crowd else Boxes(corners, labels)
    write_bag(tmp_path / "bag", [LabelledFrame("one", drives.picture(0), None, boxes)])
    bundle = write_tiny_bundle(tmp_path / "tiny", ("segmentation", "detection"))

    with pytest.raises(ReplayError, match=rf"bundle 'tiny' does not have \('{number}'\)"):
        check_labels(open_bag(tmp_path / "bag"), load_bundle(bundle).manifest)
