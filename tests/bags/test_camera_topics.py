"""Which cameras of a bag are taken, and what is told of those that are not."""

import re
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

import distill_perception
from distill_perception.bags import message_types as kinds
from distill_perception.bags.reader import open_bag
from distill_perception.errors import BagError
from tests.support.bags import bag_of, compressed, image

COLOUR = np.zeros((4, 6, 3), np.uint8)
GREY, DEPTH = COLOUR[..., 0], np.zeros((4, 6), np.uint16)
EMPTY = np.zeros((1, 0), np.uint8)


def raw_bag(path: Path, *topics: tuple[str, np.ndarray, str]) -> Path:
    """One picture on each topic, of these pixels and this encoding."""
    messages = [(topic, 1, image(1, pixels, encoding)) for topic, pixels, encoding in topics]
    return bag_of(path, messages)


def passed_over(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().partition(": ")[2] for record in caplog.records]


def test_a_second_camera_of_a_namespace_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = raw_bag(tmp_path / "bag", ("/cams/left", COLOUR, "bgr8"), ("/cams/right", COLOUR, "bgr8"))

    assert open_bag(path).topics == ("/cams/left",)
    assert passed_over(caplog) == [
        "/cams/right is passed over: /cams/left of the same namespace is taken; "
        "--topic chooses ('topics' in a recipe)"
    ]


def test_labels_that_image_transport_has_compressed_are_no_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [
        ("/cam/image_raw", 1, image(1, GREY, "mono8")),
        ("/cam/label/compressed", 1, compressed(1, GREY, "mono8; png compressed ")),
    ]
    path = bag_of(tmp_path / "bag", messages, compressed=kinds.COMPRESSED_IMAGE)

    assert open_bag(path).topics == ("/cam/image_raw",)
    assert passed_over(caplog) == []


def test_who_names_a_topic_is_told_nothing_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = raw_bag(tmp_path / "bag", ("/cams/left", COLOUR, "bgr8"), ("/cams/right", COLOUR, "bgr8"))

    assert open_bag(path, ["/cams/right"]).topics == ("/cams/right",)
    assert passed_over(caplog) == []


def test_the_compressed_twin_of_the_one_taken_is_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = [
        ("/cam/image_raw", 1, image(1, GREY, "mono8")),
        ("/cam/image_raw/compressed", 1, compressed(1, GREY, "mono8; jpeg compressed ")),
        ("/rear/image/compressed", 1, compressed(1, COLOUR, "jpeg")),
        ("/rear/image", 1, image(1, COLOUR[..., :2], "nv24")),
    ]
    path = bag_of(tmp_path / "bag", messages, compressed=kinds.COMPRESSED_IMAGE)

    assert open_bag(path).topics == ("/cam/image_raw", "/rear/image/compressed")
    assert passed_over(caplog) == []


@pytest.mark.parametrize(
    ("pixels", "encoding"), [(COLOUR, "rgb8"), (COLOUR, "8UC3"), (COLOUR[..., :2], "yuyv")]
)
def test_colour_goes_before_grey(
    pixels: np.ndarray, encoding: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = [("/front/image_mono", GREY, "mono8"), ("/front/image_raw", GREY, "8UC1")]
    path = raw_bag(tmp_path / "bag", *topics, ("/front/image_rect_color", pixels, encoding))

    assert open_bag(path).topics == ("/front/image_rect_color",)
    assert [text.split()[0] for text in passed_over(caplog)] == ["/front/image_mono", "/front/image_raw"]


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("bgr8; jpeg compressed bgr8", "/front/image_color/compressed"),
        ("bayer_rggb8; jpeg compressed mono8", "/front/image_mono"),
        ("jpeg", "/front/image_mono"),  # of which nobody knows whether it is colour
    ],
)
def test_compressed_colour_goes_before_raw_grey(kind: str, taken: str, tmp_path: Path) -> None:
    messages = [
        ("/front/image_mono", 1, image(1, GREY, "mono8")),
        ("/front/image_color/compressed", 1, compressed(1, COLOUR, kind)),
    ]

    bag = open_bag(bag_of(tmp_path / "bag", messages, compressed=kinds.COMPRESSED_IMAGE))

    assert bag.topics == (taken,)


def test_two_topics_of_one_namespace_are_refused(tmp_path: Path) -> None:
    path = raw_bag(tmp_path / "bag", ("/cams/left", COLOUR, "bgr8"), ("/cams/right", COLOUR, "bgr8"))

    words = (
        r"/cams/left and /cams/right share the namespace '/cams'.*same names; name one of them with --topic"
    )
    with pytest.raises(BagError, match=words):
        open_bag(path, ["/cams/left", "/cams/right"])


def test_a_topic_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    bag = open_bag(raw_bag(tmp_path / "bag", ("/cam/image", COLOUR, "bgr8")), ["/cam/image", "/cam/image"])

    assert (bag.topics, bag.frame_count) == (("/cam/image",), 1)


def test_a_camera_under_perception_is_a_camera(tmp_path: Path) -> None:
    topics = [(name, COLOUR, "bgr8") for name in ("/perception/front/image_raw", "/rear/perception/image")]

    assert open_bag(raw_bag(tmp_path / "bag", *topics)).topics == tuple(name for name, _, _ in topics)


def published_images() -> list[str]:
    """The image results of the node, as its source names them: it cannot be imported without ROS."""
    source = Path(distill_perception.__file__).with_name("ros") / "results.py"
    return re.findall(r'_publisher\((?:image|CompressedImage), "(.+?)"\)', source.read_text("utf8"))


@pytest.mark.parametrize("namespace", ["", "/front"])
def test_what_the_node_publishes_is_no_camera(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    results = [f"{namespace}/perception/{name}" for name in published_images()]
    messages = [
        (topic, 1, compressed(1, COLOUR, "jpeg") if "compressed" in topic else image(1, COLOUR, "bgr8"))
        for topic in (*results, f"{namespace}/image_raw")
    ]
    path = bag_of(tmp_path / "bag", messages, compressed=kinds.COMPRESSED_IMAGE)

    assert len(results) == 5
    assert open_bag(path).topics == (f"{namespace}/image_raw",)
    assert passed_over(caplog) == []


def bag_that_begins_empty(path: Path, count: int) -> Path:
    """A camera with a picture after `count` empty messages, and another camera."""
    messages = [("/cam/image_raw", 1 + i, image(1 + i, EMPTY, "")) for i in range(count)]
    messages += [(f"/{camera}/image_raw", 50, image(50, COLOUR, "bgr8")) for camera in ("cam", "other")]
    return bag_of(path, messages)


def test_a_camera_that_begins_with_an_empty_message_is_taken(tmp_path: Path) -> None:
    bag = open_bag(bag_that_begins_empty(tmp_path / "bag", count=4))

    assert bag.topics == ("/cam/image_raw", "/other/image_raw")
    assert bag.frame_count == 6


def test_a_camera_whose_first_messages_are_all_unusable_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_bag(bag_that_begins_empty(tmp_path / "bag", count=5)).topics == ("/other/image_raw",)
    (text,) = passed_over(caplog)
    assert text.startswith("/cam/image_raw is passed over: encoding '' is not supported")


def test_a_camera_that_sent_nothing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic in ("/front/image_raw", "/rear/image_raw"):
            connection = writer.add_connection(topic, kinds.IMAGE, typestore=kinds.typestore())
        writer.write(connection, 1, image(1, COLOUR, "bgr8"))

    assert open_bag(tmp_path / "bag").topics == ("/rear/image_raw",)
    assert passed_over(caplog) == ["/front/image_raw is passed over: no messages"]


def test_depth_and_labels_beside_a_camera_are_no_news(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = [("/cam/image_raw", COLOUR, "bgr8"), ("/cam/label", GREY, "mono8"), ("/cam/d", DEPTH, "16UC1")]
    messages = [(topic, 1, image(1, pixels, encoding)) for topic, pixels, encoding in topics]
    messages += [
        ("/cam/d/compressedDepth", 1, compressed(1, DEPTH, "16UC1; compressedDepth png")),
        ("/far/d/compressed", 1, compressed(1, DEPTH, "16UC1; png compressed ")),
    ]
    kind = kinds.COMPRESSED_IMAGE
    path = bag_of(tmp_path / "bag", messages, compressed=kind, compressedDepth=kind)

    assert open_bag(path).topics == ("/cam/image_raw",)
    assert passed_over(caplog) == []
