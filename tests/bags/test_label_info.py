"""The meaning of class ids in bags of one camera and of several."""

from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags import message_types as kinds
from distill_perception.bags.reader import open_bag
from distill_perception.errors import BagError
from tests.support.bags import bag_of, header, image

COLOUR = np.zeros((4, 6, 3), np.uint8)
NAMES = {0: "sky", 1: "road"}


def label_info(names: dict[int, str]) -> bytes:
    types = kinds.typestore().types
    classes = [types["vision_msgs/msg/VisionClass"](number, name) for number, name in names.items()]
    message = types[kinds.LABEL_INFO](header(1), classes, 0.0)
    return bytes(kinds.typestore().serialize_cdr(message, kinds.LABEL_INFO))


def bag_with(path: Path, **names: dict[int, str]) -> Path:
    """A bag with a picture of each camera, and what its label_info names."""
    messages = [(f"/{camera}/image_raw", 1, image(1, COLOUR, "bgr8")) for camera in names]
    messages += [(f"/{camera}/label_info", 2, label_info(found)) for camera, found in names.items()]
    return bag_of(path, messages, label_info=kinds.LABEL_INFO)


@pytest.mark.parametrize(
    ("others", "difference"),
    [
        ({0: "road", 1: "sky"}, "class id 0 is 'sky' on the one and 'road' on the other"),
        ({0: "sky"}, "class id 1 is 'road' on the one and 'not there' on the other"),
    ],
)
def test_cameras_of_different_classes_are_refused(
    others: dict[int, str], difference: str, tmp_path: Path
) -> None:
    path = bag_with(tmp_path / "bag", a=NAMES, b=others)

    with pytest.raises(
        BagError, match=f"/a/label_info and /b/label_info name different classes: {difference}; .*--topic"
    ):
        open_bag(path)


def test_cameras_of_different_classes_can_be_taken_one_by_one_or_without_labels(tmp_path: Path) -> None:
    path = bag_with(tmp_path / "bag", a=NAMES, b={0: "road", 1: "sky"})

    assert open_bag(path, ["/b/image_raw"]).class_names == {0: "road", 1: "sky"}
    assert open_bag(path, truth=False).class_names == {}


@pytest.mark.parametrize("others", [NAMES, {}, {**NAMES, 255: "void"}])
def test_cameras_may_name_the_same_classes_or_none(others: dict[int, str], tmp_path: Path) -> None:
    assert open_bag(bag_with(tmp_path / "bag", a=NAMES, b=others)).class_names == NAMES


def test_names_that_only_the_second_camera_has_are_read(tmp_path: Path) -> None:
    assert open_bag(bag_with(tmp_path / "bag", a={}, b=NAMES)).class_names == NAMES
