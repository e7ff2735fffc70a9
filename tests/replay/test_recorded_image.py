"""Replay and training decode a message as the node does, or scores and lessons are of another picture."""

import cv2
import numpy as np
import pytest

from distill_perception.errors import ImageError
from distill_perception.replay.recorded_image import RecordedImage

pytest.importorskip("rclpy", reason="the node's reader needs rclpy")

from sensor_msgs.msg import CompressedImage, Image

from distill_perception.perceptor import Frame
from distill_perception.ros.messages import frame_from_compressed, frame_from_image
from distill_perception.vision.color import convert
from tests.support.pictures import turned_by_exif
from tests.support.ros_process import compressed_message, image_message
from training.data.sources.bag_messages import rgb_of
from training.errors import TrainingError

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def node_sees(message: Image | CompressedImage) -> Frame:
    return frame_from_image(message) if isinstance(message, Image) else frame_from_compressed(message)


def sideways() -> CompressedImage:
    """A JPEG whose EXIF says that it is to be turned by 90 degrees."""
    message = compressed_message(PIXELS, "jpeg")
    data = message.data.tobytes()
    del message.data[:]
    message.data.frombytes(turned_by_exif(data, 6))
    turned = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert turned is not None
    assert turned.shape == (64, 48, 3)
    return message


@pytest.mark.parametrize(
    "message",
    [
        image_message(PIXELS, "bgr8", 3),
        image_message(PIXELS[..., 0], "mono8", 1),
        compressed_message(PIXELS, "png"),
        sideways(),
    ],
    ids=["padded", "mono8", "png", "jpeg turned by EXIF"],
)
def test_replay_and_training_see_the_nodes_picture(message: Image | CompressedImage) -> None:
    node = node_sees(message)

    pixels, encoding = RecordedImage.from_message(message).native()

    assert encoding == node.encoding
    np.testing.assert_array_equal(pixels, node.pixels)
    np.testing.assert_array_equal(rgb_of(message, "here"), convert(node.pixels, node.encoding, "rgb"))


def changed(message: Image, **fields: object) -> Image:
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def longer(message: Image) -> Image:
    message.data.frombytes(b"more")
    return message


@pytest.mark.parametrize(
    "message",
    [
        changed(image_message(PIXELS[..., 0], "mono8"), encoding="8SC1"),
        longer(image_message(PIXELS, "bgr8")),
        changed(image_message(PIXELS, "bgr8"), step=9),
        changed(compressed_message(PIXELS, "png"), format="16UC1; compressedDepth png"),
        changed(compressed_message(PIXELS, "png"), format="16UC1; png compressed "),
        changed(compressed_message(PIXELS, "png"), format="bayer_rggb8; png compressed "),
    ],
    ids=["8SC1", "trailing bytes", "short step", "depth", "16 bits", "mosaic"],
)
def test_replay_and_training_refuse_what_the_node_drops(message: Image | CompressedImage) -> None:
    with pytest.raises(ImageError) as node:
        node_sees(message)

    with pytest.raises(ImageError) as replay:
        RecordedImage.from_message(message).native()

    with pytest.raises(TrainingError) as training:
        rgb_of(message, "here")

    assert str(replay.value) == str(node.value)
    assert str(training.value) == f"here: {node.value}"


def test_a_label_may_be_called_8uc1() -> None:
    message = changed(image_message(PIXELS[..., 0], "mono8"), encoding="8UC1")

    np.testing.assert_array_equal(RecordedImage.from_message(message).label(), PIXELS[..., 0])
