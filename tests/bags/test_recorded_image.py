"""A bag's message is decoded as the node does, or scores and lessons are of another picture."""

import cv2
import numpy as np
import pytest

from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.errors import ImageError

pytest.importorskip("rclpy", reason="the node's reader needs rclpy")

from sensor_msgs.msg import CompressedImage, Image

from distill_perception.perceptor import Frame
from distill_perception.ros.messages import frame_from_compressed, frame_from_image
from tests.support.pictures import turned_by_exif
from tests.support.ros_process import compressed_message, image_message

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


def two_planes(padding: int = 0) -> Image:
    """Luma and below it, in half as many rows, colour."""
    message = image_message(np.vstack([PIXELS[..., 0], PIXELS[:24, :, 1]]), "nv12", padding)
    message.height = 48
    return message


@pytest.mark.parametrize(
    "message",
    [
        image_message(PIXELS, "bgr8", 3),
        image_message(PIXELS[..., 0], "mono8", 1),
        image_message(PIXELS[..., :2], "uyvy", 3),
        two_planes(padding=3),
        compressed_message(PIXELS, "png"),
        sideways(),
    ],
    ids=["padded", "mono8", "4:2:2", "4:2:0", "png", "jpeg turned by EXIF"],
)
def test_a_bags_picture_is_the_nodes(message: Image | CompressedImage) -> None:
    node = node_sees(message)

    pixels, encoding = RecordedImage.from_message(message).native()

    assert encoding == node.encoding
    np.testing.assert_array_equal(pixels, node.pixels)
    assert pixels.shape[:2] == PIXELS.shape[:2]  # EXIF turns nothing


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
        image_message(PIXELS[:, :63, :2], "uyvy"),
        changed(two_planes(), height=72),
        changed(compressed_message(PIXELS, "png"), format="16UC1; compressedDepth png"),
        changed(compressed_message(PIXELS, "png"), format="16UC1; png compressed "),
        changed(compressed_message(PIXELS, "png"), format="bayer_rggb8; png compressed "),
    ],
    ids=["8SC1", "trailing bytes", "short step", "odd 4:2:2", "one plane", "depth", "16 bits", "mosaic"],
)
def test_what_the_node_drops_is_refused(message: Image | CompressedImage) -> None:
    with pytest.raises(ImageError) as node:
        node_sees(message)

    with pytest.raises(ImageError) as replay:
        RecordedImage.from_message(message).native()

    assert str(replay.value) == str(node.value)


def test_a_label_may_be_called_8uc1() -> None:
    message = changed(image_message(PIXELS[..., 0], "mono8"), encoding="8UC1")

    np.testing.assert_array_equal(RecordedImage.from_message(message).label(), PIXELS[..., 0])
