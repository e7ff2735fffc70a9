"""Bags as others wrote them, in any order, padded, cut off or of something else."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from distill_perception.bags import message_types as kinds
from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.labelled_folder import LabelledFrame, read_labelled_folder
from distill_perception.bags.reader import open_bag
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.errors import BagError
from tests.support import drives
from tests.support.bags import bag_of, compressed, header, image

COLOUR = np.zeros((4, 6, 3), np.uint8)


def test_labels_that_come_before_or_after_their_image_find_it(tmp_path: Path) -> None:
    def label(number: int) -> np.ndarray:
        return np.full((4, 6), number, np.uint8)

    picture = np.zeros((4, 6, 3), np.uint8)
    order = [("label", 1), ("image_raw", 1), ("image_raw", 2), ("image_raw", 3), ("label", 3), ("label", 2)]
    messages = []
    for when, (name, stamp) in enumerate(order):
        pixels, encoding = (label(stamp), "mono8") if name == "label" else (picture, "bgr8")
        messages.append((f"/cam/{name}", 100 + when, image(stamp, pixels, encoding)))

    frames = list(open_bag(bag_of(tmp_path / "bag", messages)).frames())

    assert [frame.stamp_ns for frame in frames] == [1, 2, 3]
    assert [int(frame.label[0, 0]) for frame in frames if frame.label is not None] == [1, 2, 3]


@pytest.mark.parametrize("late", [-40, 40, 1000])
def test_labels_and_boxes_find_their_images_however_late_they_were_recorded(
    late: int, tmp_path: Path
) -> None:
    frames = [
        LabelledFrame(
            str(i), COLOUR, np.full((4, 6), i, np.uint8), Boxes(np.full((1, 4), float(i)), np.array([i]))
        )
        for i in range(60)
    ]
    write_bag(tmp_path / "bag", frames, BagOptions("/cam/image_raw", rate_hz=1.0, start_ns=10**12))
    moved = []
    with Reader(tmp_path / "bag") as reader:
        for connection, time_ns, data in reader.messages():
            when = time_ns + (connection.topic != "/cam/image_raw") * late * 10**9
            moved.append((connection.topic, when, bytes(data)))
    path = bag_of(tmp_path / "late", sorted(moved, key=lambda item: item[1]), boxes=kinds.DETECTIONS)

    found = list(open_bag(path).frames())

    assert [int(frame.label[0, 0]) for frame in found if frame.label is not None] == list(range(60))
    assert [int(frame.boxes.labels[0]) for frame in found if frame.boxes is not None] == list(range(60))


def test_labels_of_cameras_that_were_written_one_after_the_other_find_their_images(tmp_path: Path) -> None:
    messages, when = [], 0
    for camera in ("left", "right"):
        for stamp in range(1, 41):
            messages.append((f"/{camera}/image_raw", stamp, image(stamp, COLOUR, "bgr8")))
    for camera in ("right", "left"):
        for stamp in range(40, 0, -1):
            ids = np.full((4, 6), stamp + 100 * (camera == "right"), np.uint8)
            when += 1
            messages.append((f"/{camera}/label", 100 + when, image(stamp, ids, "mono8")))

    frames = list(open_bag(bag_of(tmp_path / "bag", messages)).frames())

    for frame in frames:
        assert frame.label is not None
        assert int(frame.label[0, 0]) == frame.stamp_ns + 100 * (frame.topic == "/right/image_raw")
    assert len(frames) == 80


def test_two_frames_of_one_stamp_are_refused(tmp_path: Path) -> None:
    picture, ids = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    messages = [("/cam/image_raw", when, image(1_500_000_000, picture, "bgr8")) for when in (100, 200)]
    messages.append(("/cam/label", 100, image(1_500_000_000, ids, "mono8")))

    with pytest.raises(
        BagError, match=r"two images on /cam/image_raw have the stamp 1\.500000000 s.*a driver that"
    ):
        list(open_bag(bag_of(tmp_path / "bag", messages)).frames())


@pytest.mark.parametrize("name", ["label", "boxes"])
def test_two_labels_of_one_stamp_are_refused(name: str, tmp_path: Path) -> None:
    store = kinds.typestore()
    boxes = bytes(store.serialize_cdr(store.types[kinds.DETECTIONS](header(10**9), []), kinds.DETECTIONS))
    labels = {"label": [image(10**9, np.full((4, 6), number, np.uint8), "mono8") for number in (0, 1)]}
    messages = [("/cam/image_raw", 100, image(10**9, COLOUR, "bgr8"))]
    messages += [
        (f"/cam/{name}", 100 + when, data) for when, data in enumerate(labels.get(name, [boxes] * 2))
    ]
    path = bag_of(tmp_path / "bag", messages, boxes=kinds.DETECTIONS)

    with pytest.raises(
        BagError, match=rf"two labels on /cam/{name} have the stamp 1\.000000000 s.*one label for each image"
    ):
        open_bag(path)
    assert len(list(open_bag(path, truth=False).frames(truth=False))) == 1


def test_frames_without_a_stamp_go_by_their_recording_times(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    messages = [("/cam/image_raw", when, image(0, picture, "bgr8")) for when in (100, 200)]

    frames = list(open_bag(bag_of(tmp_path / "bag", messages)).frames())

    assert [frame.stamp_ns for frame in frames] == [100, 200]


def test_cameras_of_one_bag_may_share_stamps(tmp_path: Path) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    messages = [(f"/{camera}/image_raw", 1, image(1, picture, "bgr8")) for camera in ("left", "right")]

    frames = list(open_bag(bag_of(tmp_path / "bag", messages)).frames())

    assert [frame.topic for frame in frames] == ["/left/image_raw", "/right/image_raw"]


def test_frames_without_label_pass_while_memory_stays_bounded(tmp_path: Path) -> None:
    picture, ids = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    messages = []
    for stamp in range(1, 201):
        messages.append(("/cam/image_raw", stamp, image(stamp, picture, "bgr8")))
        if stamp % 50 == 0:
            messages.append(("/cam/label", stamp, image(stamp, ids, "mono8")))

    frames = list(open_bag(bag_of(tmp_path / "bag", messages)).frames())

    assert [frame.stamp_ns for frame in frames] == list(range(1, 201))
    assert [frame.stamp_ns for frame in frames if frame.label is not None] == [50, 100, 150, 200]


@pytest.mark.parametrize(
    ("encoding", "channels", "order"),
    [
        ("bgr8", 3, [0, 1, 2]),
        ("rgb8", 3, [2, 1, 0]),
        ("bgra8", 4, [0, 1, 2]),
        ("rgba8", 4, [2, 1, 0]),
        ("mono8", 1, [0, 0, 0]),
    ],
)
def test_padded_rows_and_every_encoding_are_decoded(
    encoding: str, channels: int, order: list[int], tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, channels), np.uint8)
    bag = bag_of(tmp_path / "bag", [("/cam/image_raw", 1, image(1, pixels, encoding, padding=9))])

    frame = next(open_bag(bag).frames())

    np.testing.assert_array_equal(frame.image.bgr(), pixels[..., order])


def test_cameras_are_chosen_by_namespace_and_depth_labels_and_results_are_not(tmp_path: Path) -> None:
    colour, ids = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    depth = np.zeros((4, 6), np.uint16)
    messages = [
        ("/a/image_rect", 1, image(1, colour, "bgr8")),
        ("/a/image_raw", 2, image(1, colour, "bgr8")),
        ("/a/label", 3, image(1, ids, "mono8")),
        ("/a/perception/mask", 4, image(1, ids, "mono8")),
        ("/b/image", 5, image(1, colour, "rgb8")),
        ("/depth/image_raw", 6, image(1, depth, "16UC1")),
    ]
    path = bag_of(tmp_path / "bag", messages)

    assert open_bag(path).topics == ("/a/image_raw", "/b/image")
    assert open_bag(path, ["/a/image_rect"]).topics == ("/a/image_rect",)
    with pytest.raises(BagError, match=r"no image topic /c.*it holds.*/b/image \[sensor_msgs/msg/Image\]"):
        open_bag(path, ["/c"])


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.5, 0.9])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_cut_off_bag_is_an_error_with_a_remedy(
    storage: str, keep: float, drive: Path, tmp_path: Path
) -> None:
    write_bag(tmp_path / "bag", read_labelled_folder(drive).frames(), BagOptions(storage=storage))
    file = next(file for file in (tmp_path / "bag").iterdir() if file.suffix in (".mcap", ".db3"))
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])

    with pytest.raises(BagError, match=r"cut off or damaged.*(recover|reindex)"):
        list(open_bag(tmp_path / "bag").frames())


def test_a_bag_without_metadata_is_read_from_its_only_file(labelled_bag: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled_bag, tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()

    assert len(list(open_bag(tmp_path / "bag").frames())) == drives.FRAMES


def test_what_is_not_a_bag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mcap").write_text("hello")

    with pytest.raises(BagError, match="no such bag"):
        open_bag(tmp_path / "nowhere")
    with pytest.raises(BagError, match="not a rosbag2 folder"):
        open_bag(tmp_path / "empty")
    with pytest.raises(BagError, match="damaged"):
        open_bag(tmp_path / "text.mcap")


def test_a_bag_of_ros_1_is_named_with_the_command_that_converts_it(tmp_path: Path) -> None:
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "renamed.mcap").write_bytes(b"#ROSBAG V2.0\n")

    for name in ("old.bag", "renamed.mcap"):
        command = rf"rosbags-convert --src {tmp_path / name} --dst \S+_ros2"
        with pytest.raises(BagError, match=rf"{name}: this is a bag of ROS 1; convert it: {command}"):
            open_bag(tmp_path / name)


def test_a_file_that_is_no_bag_at_all_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"a video")

    with pytest.raises(BagError, match=r"drive\.mp4: not a bag .*distill-perception bag \S+drive\.mp4"):
        open_bag(tmp_path / "drive.mp4")


def test_a_bag_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "std_msgs/msg/String"
        connection = writer.add_connection("/chatter", kind, typestore=kinds.typestore())
        data = kinds.typestore().serialize_cdr(kinds.typestore().types[kind]("hi"), kind)
        writer.write(connection, 1, data)

    with pytest.raises(BagError, match=r"no camera topic.*/chatter \[std_msgs/msg/String\]"):
        open_bag(tmp_path / "bag")


MARKERS = "visualization_msgs/msg/MarkerArray"


def bag_with_markers(path: Path) -> Path:
    """A camera with a label, and RViz markers where its boxes would be."""
    store = kinds.typestore()
    markers = bytes(store.serialize_cdr(store.types[MARKERS]([]), MARKERS))
    messages = [
        ("/cam/image_raw", 1, image(1, COLOUR, "bgr8")),
        ("/cam/label", 2, image(1, COLOUR[..., 0], "mono8")),
        ("/cam/boxes", 3, markers),
    ]
    return bag_of(path, messages, boxes=MARKERS)


def test_a_boxes_topic_of_another_type_is_passed_over(tmp_path: Path) -> None:
    bag = open_bag(bag_with_markers(tmp_path / "bag"))
    (frame,) = bag.frames()

    assert set(bag.truth_times) == {"/cam/label"}
    assert frame.label is not None
    assert frame.boxes is None


def test_what_is_passed_over_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_bag(bag_with_markers(tmp_path / "bag"))

    assert f"/cam/boxes is passed over: it is {MARKERS}, labels there are {kinds.DETECTIONS}" in caplog.text


def test_a_label_topic_of_compressed_images_is_passed_over(tmp_path: Path) -> None:
    messages = [
        ("/cam/image_raw", 1, image(1, COLOUR, "bgr8")),
        ("/cam/label", 2, compressed(1, COLOUR, "png")),
    ]
    bag = open_bag(bag_of(tmp_path / "bag", messages, label=kinds.COMPRESSED_IMAGE))

    assert not bag.truth_times
    assert [frame.label for frame in bag.frames()] == [None]


def test_a_bag_without_a_usable_camera_says_why_of_each_topic(tmp_path: Path) -> None:
    messages = [
        ("/front/image_raw", 1, image(1, COLOUR[..., :2], "nv24")),
        ("/front/label", 2, image(1, COLOUR[..., 0], "mono8")),
        ("/front/perception/mask", 3, image(1, COLOUR[..., 0], "mono8")),
    ]
    path = bag_of(tmp_path / "bag", messages)

    with pytest.raises(BagError) as caught:
        open_bag(path)

    for words in (
        "no image topic of this bag can be used",
        "/front/image_raw: encoding 'nv24' is not supported; supported: bgr8",
        "/front/label: it holds labels",
        "/front/perception/mask: it is a perception node's result",
    ):
        assert words in str(caught.value)


def test_a_camera_without_messages_is_named_so(tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/cam/image_raw", kinds.IMAGE, typestore=kinds.typestore())

    with pytest.raises(BagError, match="/cam/image_raw: no messages"):
        open_bag(tmp_path / "bag")


@pytest.mark.parametrize("kind", ["16UC1; png compressed ", "bayer_rggb8; jpeg compressed "])
def test_compressed_depth_and_bayer_images_are_no_cameras(kind: str, tmp_path: Path) -> None:
    messages = [
        ("/cam/image_raw", 1, image(1, COLOUR, "bgr8")),
        ("/other/image_raw/compressed", 1, compressed(1, COLOUR, kind)),
    ]
    path = bag_of(tmp_path / "bag", messages, compressed=kinds.COMPRESSED_IMAGE)

    assert open_bag(path).topics == ("/cam/image_raw",)
