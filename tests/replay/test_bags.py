"""Bags written and read: pixels, labels, boxes and stamps survive; damaged ones are refused."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from distill_perception.errors import ReplayError
from distill_perception.replay import message_types as kinds
from distill_perception.replay.bag_reader import open_bag
from distill_perception.replay.bag_writer import BagOptions, write_bag
from distill_perception.replay.labelled_folder import LabelledFrame, read_labelled_folder
from distill_perception.replay.make_bag import make_bag
from tests.replay import drives


def header(stamp_ns: int) -> object:
    types = kinds.typestore().types
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp, "camera")


def image(stamp_ns: int, pixels: np.ndarray, encoding: str, padding: int = 0) -> bytes:
    """A sensor_msgs/Image as bytes; `padding` bytes of rubbish end each row."""
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    make = kinds.typestore().types[kinds.IMAGE]
    height, width = pixels.shape[:2]
    message = make(header(stamp_ns), height, width, encoding, 0, rows.shape[1], rows.reshape(-1))
    return bytes(kinds.typestore().serialize_cdr(message, kinds.IMAGE))


def bag_of(path: Path, messages: list[tuple[str, int, bytes]]) -> Path:
    """A bag of images (topic, recording time, message)."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = dict.fromkeys(topic for topic, _, _ in messages)
        connections = {t: writer.add_connection(t, kinds.IMAGE, typestore=kinds.typestore()) for t in topics}
        for topic, time_ns, data in messages:
            writer.write(connections[topic], time_ns, data)
    return path


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_gives_back_what_was_written(storage: str, drive: Path, tmp_path: Path) -> None:
    folder = read_labelled_folder(drive)
    options = BagOptions(rate_hz=10, storage=storage, start_ns=5_000_000_000)

    count = write_bag(tmp_path / "bag", folder.frames(), options, folder.class_names)
    bag = open_bag(tmp_path / "bag")
    frames = list(bag.frames())

    assert count == bag.frame_count == len(frames) == drives.FRAMES
    assert bag.class_names == dict(enumerate(drives.CLASS_NAMES))
    assert [frame.stamp_ns for frame in frames] == [5_000_000_000 + 100_000_000 * index for index in range(6)]
    for frame, written in zip(frames, folder.frames(), strict=True):
        np.testing.assert_array_equal(frame.image.bgr(), written.pixels)
        np.testing.assert_array_equal(frame.label, written.label)
        assert frame.boxes is not None
        assert written.boxes is not None
        np.testing.assert_array_equal(frame.boxes.xyxy, written.boxes.xyxy)
        np.testing.assert_array_equal(frame.boxes.labels, written.boxes.labels)


def test_ros_itself_reads_the_messages(labelled_bag: Path) -> None:
    pytest.importorskip("vision_msgs", reason="vision_msgs is not installed")
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray, LabelInfo

    types = {kinds.IMAGE: Image, kinds.DETECTIONS: Detection2DArray, kinds.LABEL_INFO: LabelInfo}
    stamps: dict[str, list[int]] = {}
    with Reader(labelled_bag) as reader:
        for connection, _, data in reader.messages():
            message = deserialize_message(data, types[connection.msgtype])
            stamps.setdefault(connection.topic, []).append(message.header.stamp.nanosec)
            if connection.msgtype == kinds.LABEL_INFO:
                assert [(c.class_id, c.class_name) for c in message.class_map] == [
                    (0, "red"),
                    (1, "green"),
                    (2, "blue"),
                ]
            if connection.msgtype == kinds.DETECTIONS:
                detection = message.detections[0]
                assert detection.results[0].hypothesis.class_id in ("1", "2")
    images = stamps["/camera/front/image_raw"]
    assert images == stamps["/camera/front/label"] == stamps["/camera/front/boxes"]


def test_compressed_pictures_are_jpeg_and_labels_stay_exact(drive: Path, tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", read_labelled_folder(drive).frames(), BagOptions(compressed=True))

    bag = open_bag(tmp_path / "bag")
    frame = next(bag.frames())

    assert bag.topics == ("/camera/front/image_raw/compressed",)
    assert frame.image.data[:2].tobytes() == b"\xff\xd8"
    assert np.abs(frame.image.bgr().astype(int) - drives.picture(0)).mean() < 25
    np.testing.assert_array_equal(frame.label, drives.label(0))


def test_a_video_becomes_a_bag_at_its_own_rate(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "drive.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
    for index in range(10):
        video.write(np.full((48, 64, 3), 20 * index, np.uint8))
    video.release()

    assert make_bag(tmp_path / "drive.mp4", tmp_path / "bag") == 10
    frames = list(open_bag(tmp_path / "bag").frames())

    assert [frame.label for frame in frames] == [None] * 10
    levels = [float(frame.image.bgr().mean()) for frame in frames]
    assert np.abs(np.array(levels) - 20 * np.arange(10)).max() < 6
    assert {b.stamp_ns - a.stamp_ns for a, b in itertools.pairwise(frames)} == {40_000_000}


def test_something_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"not a video")

    with pytest.raises(ReplayError, match="cannot be opened as a video"):
        make_bag(tmp_path / "drive.mp4", tmp_path / "bag")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ReplayError])
def test_an_interrupted_bag_leaves_nothing_behind(
    error: type[BaseException], drive: Path, tmp_path: Path
) -> None:
    def frames() -> Iterator[LabelledFrame]:
        yield next(read_labelled_folder(drive).frames())
        raise error

    with pytest.raises(error):
        write_bag(tmp_path / "bag", frames())

    assert list(tmp_path.iterdir()) == []


def test_an_existing_bag_is_only_replaced_when_told_and_other_folders_never(
    drive: Path, tmp_path: Path
) -> None:
    folder = read_labelled_folder(drive)
    write_bag(tmp_path / "bag", folder.frames())

    with pytest.raises(ReplayError, match="exists already"):
        write_bag(tmp_path / "bag", folder.frames())
    write_bag(tmp_path / "bag", itertools.islice(folder.frames(), 2), overwrite=True)
    (tmp_path / "precious").mkdir()
    with pytest.raises(ReplayError, match="not a bag"):
        write_bag(tmp_path / "precious", folder.frames(), overwrite=True)

    assert open_bag(tmp_path / "bag").frame_count == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (BagOptions(rate_hz=0), "rate must be above 0"),
        (BagOptions(storage="zip"), "choose one of mcap, sqlite3"),
        (BagOptions(topic="camera"), "must be absolute"),
    ],
)
def test_bad_options_are_refused(options: BagOptions, words: str, tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=words):
        write_bag(tmp_path / "bag", [], options)


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
    with pytest.raises(ReplayError, match=r"no image topic /c.*it holds.*/b/image \[sensor_msgs/msg/Image\]"):
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

    with pytest.raises(ReplayError, match=r"cut off or damaged.*(recover|reindex)"):
        list(open_bag(tmp_path / "bag").frames())


def test_a_bag_without_metadata_is_read_from_its_only_file(labelled_bag: Path, tmp_path: Path) -> None:
    shutil.copytree(labelled_bag, tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()

    assert len(list(open_bag(tmp_path / "bag").frames())) == drives.FRAMES


def test_what_is_not_a_bag_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mcap").write_text("hello")

    with pytest.raises(ReplayError, match="no such bag"):
        open_bag(tmp_path / "nowhere")
    with pytest.raises(ReplayError, match="not a rosbag2 folder"):
        open_bag(tmp_path / "empty")
    with pytest.raises(ReplayError, match="damaged"):
        open_bag(tmp_path / "text.mcap")


def test_a_bag_without_images_says_what_it_holds(tmp_path: Path) -> None:
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = "std_msgs/msg/String"
        connection = writer.add_connection("/chatter", kind, typestore=kinds.typestore())
        data = kinds.typestore().serialize_cdr(kinds.typestore().types[kind]("hi"), kind)
        writer.write(connection, 1, data)

    with pytest.raises(ReplayError, match=r"no camera topic.*/chatter \[std_msgs/msg/String\]"):
        open_bag(tmp_path / "bag")
