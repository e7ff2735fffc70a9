"""Bags as they are written: pixels, labels, boxes and stamps survive, and nothing half-written stays."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from distill_perception.bags import message_types as kinds
from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.labelled_folder import LabelledFrame, read_labelled_folder
from distill_perception.bags.make_bag import make_bag
from distill_perception.bags.reader import open_bag
from distill_perception.bags.video_file import open_video
from distill_perception.bags.writer import BagOptions, finished_folder, write_bag
from distill_perception.errors import BagError
from tests.support import drives
from tests.support.full_disk import full_disk
from tests.support.tiny_bundle import write_tiny_bundle


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


def video_of(path: Path, frames: int) -> Path:
    """Noise as motion JPEG."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (64, 48))
    for index in range(frames):
        video.write(np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8))
    video.release()
    return path


def test_a_video_that_was_cut_off_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = video_of(tmp_path / "drive.avi", frames=40)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])

    count = make_bag(video, tmp_path / "bag")

    assert 10 < count < 30
    told = " ".join(capsys.readouterr().err.split())
    assert f"drive.avi: only {count} of the 40 frames that it announces could be read" in told


def test_a_whole_video_is_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_bag(video_of(tmp_path / "drive.avi", frames=10), tmp_path / "bag")

    assert "could be read" not in capsys.readouterr().err


@pytest.mark.parametrize("announced", [0, 12])
def test_a_frame_count_that_is_unknown_or_a_little_off_is_no_warning(
    announced: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_video(video_of(tmp_path / "drive.avi", frames=10))
    monkeypatch.setattr(
        "distill_perception.bags.make_bag.open_video", lambda path: replace(whole, frame_count=announced)
    )

    assert make_bag(whole.path, tmp_path / "bag") == 10
    assert "could be read" not in capsys.readouterr().err


def test_something_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drive.mp4").write_bytes(b"not a video")

    with pytest.raises(BagError, match="cannot be opened as a video"):
        make_bag(tmp_path / "drive.mp4", tmp_path / "bag")


@pytest.mark.parametrize("names", ["none", "classes.json", "a bundle", "no labels"])
def test_a_bag_whose_labels_have_no_class_names_is_told(
    names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(write_tiny_bundle(tmp_path / "tiny")) if names == "a bundle" else None
    labelled = names != "no labels"
    folder = drives.write_folder(tmp_path / "drive", 1, labelled, names=names == "classes.json")

    make_bag(folder, tmp_path / "bag", bundle=bundle)

    told = " ".join(capsys.readouterr().err.split())
    assert ("labels without class names" in told) == (names == "none")
    if names == "none":
        assert f"give them by {folder / 'classes.json'} or --bundle" in told


@pytest.mark.parametrize("kilobytes", [4, 15])  # too few for SQLite's tables, and for the pictures
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_full_disk_is_told_with_the_place(
    storage: str, kilobytes: int, drive: Path, tmp_path: Path
) -> None:
    frames = list(read_labelled_folder(drive).frames())
    words = r"/bag was not written: .*; make room there or choose another"
    with full_disk(kilobytes * 1024), pytest.raises(BagError, match=words):
        write_bag(tmp_path / "bag", frames, BagOptions(storage=storage))

    assert [item.name for item in tmp_path.iterdir() if "bag" in item.name] == []


def test_a_picture_that_cannot_be_read_is_no_full_disk(tmp_path: Path) -> None:
    def frames() -> Iterator[LabelledFrame]:
        raise PermissionError(13, "Permission denied", "/pictures/a.png")
        yield

    with pytest.raises(PermissionError, match=r"/pictures/a\.png"):
        write_bag(tmp_path / "bag", frames())


def test_crowds_stay_regions_to_ignore(tmp_path: Path) -> None:
    crowd = np.array([[1.0, 2.0, 30.0, 40.0]])
    boxes = Boxes(np.array([[5.0, 6.0, 7.0, 9.0]]), np.array([2]), crowd, np.array([1]))
    write_bag(tmp_path / "bag", [LabelledFrame("one", drives.picture(0), None, boxes)])

    (frame,) = open_bag(tmp_path / "bag").frames()

    assert frame.boxes is not None
    assert (frame.boxes.labels.tolist(), frame.boxes.ignored_labels.tolist()) == ([2], [1])
    np.testing.assert_array_equal(frame.boxes.ignored, crowd)


def test_a_compressed_topic_may_be_named_in_full(drive: Path, tmp_path: Path) -> None:
    options = BagOptions(topic="/cam/image_raw/compressed", compressed=True)
    write_bag(tmp_path / "bag", read_labelled_folder(drive).frames(), options)

    assert open_bag(tmp_path / "bag").topics == (options.topic,)


@pytest.mark.parametrize("error", [KeyboardInterrupt, BagError])
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

    with pytest.raises(BagError, match="exists already"):
        write_bag(tmp_path / "bag", folder.frames())
    write_bag(tmp_path / "bag", itertools.islice(folder.frames(), 2), overwrite=True)
    (tmp_path / "precious").mkdir()
    with pytest.raises(BagError, match="not a bag"):
        write_bag(tmp_path / "precious", folder.frames(), overwrite=True)

    assert open_bag(tmp_path / "bag").frame_count == 2


def test_where_a_link_stands_the_bag_that_it_names_is_replaced(drive: Path, tmp_path: Path) -> None:
    folder = read_labelled_folder(drive)
    write_bag(tmp_path / "real", folder.frames())
    (tmp_path / "latest").symlink_to("real")

    write_bag(tmp_path / "latest", itertools.islice(folder.frames(), 2), overwrite=True)

    assert open_bag(tmp_path / "real").frame_count == 2
    assert (tmp_path / "latest").is_symlink()
    assert {item.name for item in tmp_path.iterdir()} == {"real", "latest"}


def test_a_bag_that_cannot_be_replaced_is_named_before_anything_is_written(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    def frames() -> Iterator[LabelledFrame]:
        pytest.fail("it has begun to write")
        yield

    write_bag(tmp_path / "bag", read_labelled_folder(drive).frames())
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(BagError, match=r"/bag cannot be replaced: Operation not permitted; choose"):
        write_bag(tmp_path / "bag", frames(), overwrite=True)

    assert [item.name for item in tmp_path.iterdir()] == ["bag"]
    assert open_bag(tmp_path / "bag").frame_count == drives.FRAMES


def test_a_whole_bag_that_cannot_be_moved_into_place_stays_and_is_named(drive: Path, tmp_path: Path) -> None:
    def frames() -> Iterator[LabelledFrame]:
        yield from read_labelled_folder(drive).frames()
        (tmp_path / "bag" / "of somebody else").mkdir(parents=True)

    with pytest.raises(BagError, match=r"/bag was not written: .*; what there is stays in ") as caught:
        write_bag(tmp_path / "bag", frames())

    kept = Path(str(caught.value).rpartition(" stays in ")[2])
    assert open_bag(kept).frame_count == drives.FRAMES
    assert (tmp_path / "bag" / "of somebody else").exists()


def test_the_old_bag_comes_back_where_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    (bag / "old").mkdir(parents=True)
    with pytest.raises(BagError, match="/bag was not written"), finished_folder(bag):
        pass  # nothing is there to be moved
    assert (bag / "old").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("bag", "bag cannot be written: "), ("dangling", "dangling .a link to ")]
)
def test_where_nothing_can_be_written_the_bag_itself_is_named(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "bag")
    if name == "bag":
        monkeypatch.setattr("tempfile.mkdtemp", refused)
    with pytest.raises(BagError, match=words) as caught:
        write_bag(tmp_path / name, [LabelledFrame("one", drives.picture(0), None, None)])

    assert "unfinished" not in str(caught.value)
    assert str(caught.value).endswith("; choose another place for it")
    assert [item.name for item in tmp_path.iterdir()] == ["dangling"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (BagOptions(rate_hz=0), "rate must be above 0"),
        (BagOptions(rate_hz=float("nan")), "rate must be above 0"),
        (BagOptions(rate_hz=1001), "and at most 1000 Hz, not 1001"),
        (BagOptions(storage="zip"), "choose one of mcap, sqlite3"),
        (BagOptions(topic="camera"), "must be absolute"),
        (BagOptions(topic="/camera/"), "must be absolute"),
        (BagOptions(topic="/camera front/image-raw"), "letters, digits and '_' alone"),
        (BagOptions(topic="/camera/1st/image_raw"), "must be absolute"),
        (BagOptions(topic="/camera/image_raw/compressed"), "add --compressed"),
        (BagOptions(topic="/camera/label"), "is where labels go"),
    ],
)
def test_bad_options_are_refused(options: BagOptions, words: str, tmp_path: Path) -> None:
    with pytest.raises(BagError, match=words):
        write_bag(tmp_path / "bag", [], options)
