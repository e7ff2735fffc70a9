"""Labels that cannot be scored are refused, and what is left out is told."""

import math
from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.reader import open_bag
from distill_perception.bundle import load_bundle
from distill_perception.errors import BagError, ReplayError
from distill_perception.replay.label_checks import check_labels
from distill_perception.replay.run import ReplayOptions, replay
from tests.replay.scored_bags import bag_of_boxes, bag_with, evaluated
from tests.support import drives
from tests.support.bags import bag_of, image


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            {0: "red", 1: "green"},
            "label_info has 2 classes, the bundle 3; class id 2 is 'not there' in the bag",
        ),
        ({0: "red", 1: "blue", 2: "green"}, "class id 1 is 'blue' in the bag and 'green' in the bundle"),
        (dict(enumerate("abcd")), "has 3 classes, the bundle 3; class id 0 is 'a'"),
    ],
)
def test_labels_of_other_classes_are_refused(
    names: dict[int, str], words: str, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReplayError, match=words):
        evaluated(bag_with(tmp_path / "bag", names, drives.label(0)), tiny)


def test_labels_of_other_classes_can_be_left_out(tiny: Path, tmp_path: Path) -> None:
    bag = bag_with(tmp_path / "bag", dict(enumerate("abcd")), drives.label(0))
    options = ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True, labels=False, video=False)
    found = replay(options).evaluation
    assert (found.answered, found.labelled, found.miou, found.map50) == (1, 0, None, None)


def test_void_may_be_named_in_label_info(tiny: Path, tmp_path: Path) -> None:
    names = {**dict(enumerate(drives.CLASS_NAMES)), drives.VOID: "void"}

    assert evaluated(bag_with(tmp_path / "bag", names, drives.label(0)), tiny).miou is not None


def test_a_label_id_that_is_no_class_is_refused(tiny: Path, tmp_path: Path) -> None:
    label = drives.label(0)
    label[20, 20] = 7

    with pytest.raises(ReplayError, match="label has class id 7, but bundle 'tiny' has the 3 classes 0 to 2"):
        evaluated(bag_with(tmp_path / "bag", {}, label), tiny)


def test_labels_that_cannot_be_scored_are_refused_before_a_frame_is_played(
    tiny: Path, tmp_path: Path
) -> None:
    wrong_id, small = drives.label(0), drives.label(0)[:-2]
    wrong_id[20, 20] = 7
    for name, label, words in (
        ("id", wrong_id, r"bag_id.*image_raw at .* s: the label has class id 7"),
        ("size", small, r"the label is \d+x\d+, the image \d+x\d+; labels must have"),
    ):
        options = ReplayOptions(bag_with(tmp_path / f"bag_{name}", {}, label), str(tiny), tmp_path / "out")
        with pytest.raises(ReplayError, match=words):
            replay(options)
        assert not (tmp_path / "out").exists()


def test_a_label_of_another_encoding_is_named_with_its_place(tiny: Path, tmp_path: Path) -> None:
    colours = np.zeros((drives.HEIGHT, drives.WIDTH, 3), np.uint8)
    messages = [
        ("/cam/image_raw", 10**9, image(10**9, drives.picture(0), "rgb8")),
        ("/cam/label", 10**9, image(10**9, colours, "rgb8")),
    ]
    bag = bag_of(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"bag, /cam/label at 1.000 s: a label must be mono8 class ids"):
        check_labels(open_bag(bag, index_images=True), load_bundle(tiny).manifest)


def bag_of_stamps(path: Path, images: range, labels: range) -> Path:
    """A camera's pictures and labels at these header stamps."""
    messages = [("/cam/image_raw", stamp, image(stamp, drives.picture(0), "bgr8")) for stamp in images]
    messages += [("/cam/label", stamp, image(stamp, drives.label(0), "mono8")) for stamp in labels]
    return bag_of(path, messages)


def test_labels_that_have_the_stamp_of_no_image_are_refused(tiny: Path, tmp_path: Path) -> None:
    bag = bag_of_stamps(tmp_path / "bag", range(1_000, 161_000, 1_000), range(1_250, 13_250, 1_000))
    options = ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True)

    words = r"none of its labels \(12 on /cam/label\).* nearest is 0\.000000250 s away.*--no-labels"
    with pytest.raises(ReplayError, match=words):
        replay(options)

    assert not (tmp_path / "out").exists()


def test_labels_that_begin_late_in_the_bag_are_no_reason_to_refuse_it(tiny: Path, tmp_path: Path) -> None:
    bag = open_bag(bag_of_stamps(tmp_path / "bag", range(1, 131), range(121, 131)))

    check_labels(bag, load_bundle(tiny).manifest)


def test_labels_that_were_not_used_are_told(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert evaluated(bag_of_stamps(tmp_path / "bag", range(1, 7), range(4, 9)), tiny).labelled == 3

    assert "only 3 of the 5 labels on /cam/label have the stamp of an image" in caplog.text


def test_labels_that_were_all_used_are_not_told(
    labelled_bag: Path, tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluated(labelled_bag, tiny)

    assert not caplog.text


def test_a_crowd_of_a_class_that_is_none_is_refused(tiny: Path, tmp_path: Path) -> None:
    crowd = Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([7]))

    with pytest.raises(ReplayError, match="a labelled box is of a class that bundle 'tiny' does not have"):
        evaluated(bag_of_boxes(tmp_path / "bag", [(None, crowd)]), tiny)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_box_of_a_class_without_boxes_is_refused(ignored: bool, tiny: Path, tmp_path: Path) -> None:
    red, none = (np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([0])), (np.zeros((0, 4)), np.zeros(0, np.int64))
    bag = bag_of_boxes(tmp_path / "bag", [(None, Boxes(*none, *red) if ignored else Boxes(*red))])

    with pytest.raises(ReplayError, match=r"of class 0, which bundle 'tiny' never finds: 'red' has no boxes"):
        evaluated(bag, tiny)


def test_labels_that_do_not_name_their_classes_are_told(
    labelled_bag: Path, unlabelled_bag: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(bag: Path) -> str:
        check_labels(open_bag(bag, index_images=True), load_bundle(tiny).manifest)
        return " ".join(capsys.readouterr().err.split())

    nameless = bag_with(tmp_path / "bag", {}, drives.label(0))
    assert f"{nameless}: its labels have no class names (label_info), so they are scored as if" in told(
        nameless
    )
    assert told(labelled_bag) == told(unlabelled_bag) == ""


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize(
    ("corners", "problem"),
    [
        ((math.nan, 12, 32, 36), r"\(nan, .*\) is not of finite numbers"),
        ((32, 12, 16, 36), r"\(32, 12, 16, 36\) has no width or height"),
        ((16, 36, 32, 36), r"\(16, 36, 32, 36\) has no width or height"),
        ((64, 12, 80, 36), r"\(64, 12, 80, 36\) lies wholly outside its 64x48 image"),
        ((16, -9, 32, 0), r"\(16, -9, 32, 0\) lies wholly outside its 64x48 image"),
    ],
)
def test_a_labelled_box_in_which_nothing_can_be_found_is_refused(
    corners: tuple[float, ...], problem: str, ignored: bool, tiny: Path, tmp_path: Path
) -> None:
    good, bad = (
        Boxes(np.array([[50.0, 40.0, 80.0, 60.0]]), np.array([2])),
        (np.array([corners]), np.array([2])),
    )
    boxes = Boxes(good.xyxy, good.labels, *bad) if ignored else Boxes(*bad)
    bag = bag_of_boxes(tmp_path / "bag", [(None, good), (None, boxes)])

    words = rf"bag, /camera/front/boxes at \d+\.\d+ s: the labelled box {problem}.*--no-labels"
    with pytest.raises(ReplayError, match=words):
        evaluated(bag, tiny)
