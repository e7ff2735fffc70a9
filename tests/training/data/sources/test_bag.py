"""Labelled and other bags, written by the runtime's own writer and message by message."""

import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.errors import BagError, PerceptionError
from tests.support.bags import bag_of, image
from tests.training.data.sources.files import blocks, picture
from training.data.class_sets import class_set
from training.data.frames import PlainFrames
from training.data.source_spec import BagSpec
from training.data.sources import open_source
from training.errors import TrainingError

CAMVID_NAMES = dict(enumerate(class_set("camvid").names))
BOXES = Boxes(np.array([[1.0, 2.0, 6.0, 9.0], [-3.0, 4.0, 40.0, 8.0]]), np.array([8, 9]))


def frames() -> list[LabelledFrame]:
    """Labels and boxes, boxes alone, nothing."""
    pixels = [picture(seed)[..., ::-1].copy() for seed in range(3)]
    return [
        LabelledFrame("a", pixels[0], blocks(0, 3, 8, 11), BOXES),
        LabelledFrame("b", pixels[1], None, Boxes(np.zeros((0, 4)), np.zeros(0, np.int64))),
        LabelledFrame("c", pixels[2], None, None),
    ]


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(names: dict[int, str] | None = None, **options: object) -> Path:
        write_bag(tmp_path / "bag", frames(), BagOptions(start_ns=10**18, **options), names, overwrite=True)
        return tmp_path / "bag"

    return _write


def spec(path: Path, **changes: object) -> BagSpec:
    return BagSpec.model_validate({"name": "b", "path": path, **changes})


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_labels_and_boxes_find_their_picture(write: Write, storage: str) -> None:
    source = open_source(spec(write(CAMVID_NAMES, storage=storage)))
    third, second, first = source[2], source[1], source[0]  # in any order
    assert (len(source), first.name) == (3, f"camera_front_{10**18}")
    for seed, sample in enumerate([first, second, third]):
        np.testing.assert_array_equal(sample.image, picture(seed))
    np.testing.assert_array_equal(first.mask, blocks(0, 3, 8, 11))
    np.testing.assert_array_equal(first.boxes, [[1, 2, 6, 9], [0, 4, 16, 8]])
    assert first.labels.tolist() == [8, 9]
    flags = [(sample.has_mask, sample.has_boxes) for sample in (first, second, third)]
    assert flags == [(True, True), (False, True), (False, False)]


def test_crowds_are_regions_to_ignore(tmp_path: Path) -> None:
    crowd = np.array([[2.0, 1.0, 9.0, 30.0]])
    boxes = Boxes(BOXES.xyxy[:1], BOXES.labels[:1], crowd, np.array([9]))
    write_bag(tmp_path / "bag", [LabelledFrame("a", picture()[..., ::-1].copy(), None, boxes)])

    sample = open_source(spec(tmp_path / "bag"))[0]

    assert (sample.labels.tolist(), sample.ignored_labels.tolist()) == ([8], [9])
    np.testing.assert_array_equal(sample.boxes, [[1, 2, 6, 9]])
    np.testing.assert_array_equal(sample.ignored, [[2, 1, 9, 12]])


def test_compressed_pictures_are_decoded(tmp_path: Path) -> None:
    smooth = np.zeros((12, 16, 3), np.uint8)
    smooth[..., 2] = np.linspace(0, 250, 16)  # BGR: redder to the right
    frame = LabelledFrame("a", smooth, blocks(0, 3, 8, 11), None)
    write_bag(tmp_path / "bag", [frame], BagOptions(compressed=True))
    sample = open_source(spec(tmp_path / "bag"))[0]
    assert np.abs(sample.image.astype(int) - smooth[..., ::-1]).max() < 20
    np.testing.assert_array_equal(sample.mask, blocks(0, 3, 8, 11))


def test_a_bags_own_ids_are_matched_by_their_names(write: Write) -> None:
    names = {0: "road", 3: "sky", 8: "pedestrian", 9: "car"}
    sample = open_source(spec(write(names)))[0]
    np.testing.assert_array_equal(sample.mask, blocks(3, 0, 9, 11))
    assert sample.labels.tolist() == [9, 8]
    with pytest.raises(TrainingError, match=r"names class 'skye', which class set 'camvid' has not .*'sky'"):
        open_source(spec(write({0: "skye"})))


def test_bags_without_names_are_checked_against_the_class_set(write: Write) -> None:
    with pytest.raises(TrainingError, match=r"stamp 10{18}, /camera/front/label holds class id 8, 11"):
        open_source(spec(write(), class_set="kitti"))[0]


def test_loader_workers_read_a_bag_that_the_parent_has_open(write: Write) -> None:
    source = open_source(spec(write(CAMVID_NAMES)))
    assert source[1].name
    loader = DataLoader(PlainFrames(source), batch_size=None, num_workers=2)
    for seed, sample in enumerate(loader):
        assert torch.equal(torch.as_tensor(sample.image), torch.from_numpy(picture(seed)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))[2].image, picture(2))


def test_boxes_and_labels_of_another_type_are_somebody_elses(tmp_path: Path) -> None:
    messages = [
        ("/a/image_raw", 1, image(1, picture(), "rgb8")),
        ("/a/boxes", 2, image(1, blocks(1), "mono8")),
    ]
    sample = open_source(spec(bag_of(tmp_path / "bag", messages)))[0]
    assert (sample.has_mask, sample.has_boxes) == (False, False)


def test_rows_are_unpadded_and_cameras_told_from_depth_and_results(tmp_path: Path) -> None:
    colour = picture()
    ids, depth = blocks(1), np.zeros((4, 6), np.uint16)
    messages = [
        ("/a/image_raw", 1, image(1, colour, "rgb8", padding=7)),
        ("/a/label", 2, image(1, ids, "mono8", padding=3)),
        ("/a/perception/mask", 3, image(1, ids, "mono8")),
        ("/a/image_rect", 4, image(1, colour, "rgb8")),
        ("/b/image", 5, image(2, colour, "bgr8")),
        ("/d/image_raw", 6, image(1, depth, "16UC1")),
    ]
    path = bag_of(tmp_path / "bag", messages)
    source = open_source(spec(path))
    assert [source[i].name for i in range(len(source))] == ["a_1", "b_2"]
    np.testing.assert_array_equal(source[0].image, colour)
    np.testing.assert_array_equal(source[0].mask, ids)
    np.testing.assert_array_equal(source[1].image, colour[..., ::-1])
    assert len(open_source(spec(path, topics=["/a/image_rect"]))) == 1
    with pytest.raises(
        BagError, match=r"no image topic /c in this bag; it holds /a/image_raw \[sensor_msgs/msg/Image\]"
    ):
        open_source(spec(path, topics=["/c"]))


def test_every_second_frame_is_of_each_camera(tmp_path: Path) -> None:
    messages = [
        (topic, 2 * stamp + turn, image(stamp, picture(stamp), "rgb8"))
        for stamp in range(1, 5)
        for turn, topic in enumerate(["/left/image", "/right/image"])
    ]
    source = open_source(spec(bag_of(tmp_path / "bag", messages), every=2))
    assert [source[i].name for i in range(len(source))] == ["left_1", "right_1", "left_3", "right_3"]


def test_labels_that_are_no_masks_or_of_another_size_are_refused(tmp_path: Path) -> None:
    for number, (label, encoding, message) in enumerate(
        [
            (picture(), "rgb8", r"/a/label at .* s: a label must be mono8 class ids, not rgb8"),
            (blocks(1)[:5], "mono8", r"/a/label is 16x5 but its picture .* is 16x12"),
        ]
    ):
        messages = [("/a/image", 1, image(1, picture(), "rgb8")), ("/a/label", 2, image(1, label, encoding))]
        with pytest.raises(PerceptionError, match=message):
            open_source(spec(bag_of(tmp_path / f"bag{number}", messages)))[0]


def test_labels_of_which_none_has_a_picture_are_refused(tmp_path: Path) -> None:
    messages = [("/a/image", 1, image(1, picture(), "rgb8")), ("/a/label", 2, image(3, blocks(1), "mono8"))]
    path = bag_of(tmp_path / "bag", messages)

    with pytest.raises(
        BagError, match=r"none of its labels \(1 on /a/label\) has .* or hide them \('use_masks: false'"
    ):
        open_source(spec(path))
    assert len(open_source(spec(path, use_masks=False, use_boxes=False))) == 1


def test_two_pictures_of_one_stamp_are_refused(tmp_path: Path) -> None:
    messages = [("/a/image", when, image(1, picture(), "rgb8")) for when in (1, 2)]
    with pytest.raises(BagError, match=r"two images on /a/image have the stamp 0\.000000001 s"):
        open_source(spec(bag_of(tmp_path / "bag", messages)))


def test_a_bag_without_metadata_is_read_from_its_only_file(write: Write) -> None:
    path = write(CAMVID_NAMES)
    (path / "metadata.yaml").unlink()

    source = open_source(spec(path))

    assert len(source) == 3
    np.testing.assert_array_equal(source[0].mask, blocks(0, 3, 8, 11))


def test_a_bag_from_which_messages_are_gone_is_refused(write: Write) -> None:
    path = write(CAMVID_NAMES, storage="sqlite3")
    with sqlite3.connect(next(path.glob("*.db3"))) as database:
        database.execute("DELETE FROM messages WHERE id > 4")  # as where a disk was full

    with pytest.raises(BagError, match=r"bag: cannot be read.*6 messages are announced, 3 are there"):
        open_source(spec(path))


def test_what_is_no_bag_or_has_no_pictures_is_explained(tmp_path: Path, write: Write) -> None:
    with pytest.raises(BagError, match=r"nowhere: no such bag"):
        open_source(spec(tmp_path / "nowhere"))
    with pytest.raises(BagError, match=r"no image topic of this bag can be used .*/a/label: it holds labels"):
        open_source(spec(bag_of(tmp_path / "labels", [("/a/label", 1, image(1, blocks(1), "mono8"))])))
    path = write()
    file = next(path.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(BagError, match=r"cut off or damaged"):
        open_source(spec(path))
