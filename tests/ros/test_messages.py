"""Messages to arrays and back, without a node."""

import cv2
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from distill_perception.bundle import load_bundle
from distill_perception.errors import ImageError
from distill_perception.perceptor import Detection
from distill_perception.ros import messages
from tests.support.ros_process import compressed_message, image_message, pixels_of

CHANNELS = {"bgr8": 3, "rgb8": 3, "bgra8": 4, "rgba8": 4, "mono8": 1, "yuyv": 2, "bayer_rggb8": 1}


def noise(height: int, width: int, channels: int) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("padding", [0, 1, 13])
@pytest.mark.parametrize("encoding", CHANNELS)
def test_every_encoding_is_viewed_in_place_whatever_the_step(encoding: str, padding: int) -> None:
    pixels = noise(7, 6, CHANNELS[encoding])
    message = image_message(pixels, encoding, padding)
    frame = messages.frame_from_image(message)
    assert frame.encoding == encoding
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoding": "16UC1"}, "encoding '16UC1' is not supported"),
        ({"encoding": ""}, "encoding '' is not supported"),
        ({"height": 0}, "empty"),
        ({"width": 0}, "empty"),
        ({"step": 14}, "step 14 is too small"),
        ({"step": 0}, "step 0 is too small"),
        ({"height": 8}, "data has 105 bytes"),
        ({"height": 6}, "data has 105 bytes"),
        ({"encoding": "yuyv"}, "must be of even width, found 5"),
        ({"encoding": "nv12"}, "must be of even width and height, found 5x7"),
        ({"height": 4_000_000_000, "width": 1}, "data has 105 bytes"),
    ],
)
def test_malformed_images_are_refused_with_the_reason(change: dict[str, object], said: str) -> None:
    message = image_message(noise(7, 5, 3), "rgb8")
    for field, value in change.items():
        setattr(message, field, value)
    with pytest.raises(ImageError, match=said):
        messages.frame_from_image(message)


def test_png_is_decoded_exactly_and_jpeg_nearly() -> None:
    smooth = cv2.GaussianBlur(noise(48, 64, 3), (0, 0), 5)
    png = messages.frame_from_compressed(compressed_message(smooth, "png"))
    np.testing.assert_array_equal(png.pixels[..., ::-1], smooth)
    assert png.encoding == "bgr8"
    jpeg = messages.frame_from_compressed(compressed_message(smooth, "jpeg"))
    assert np.abs(jpeg.pixels[..., ::-1].astype(int) - smooth).mean() < 3


def test_grey_pngs_become_three_channels() -> None:
    grey = noise(4, 6, 1)
    message = CompressedImage(format="png")
    message.data.frombytes(cv2.imencode(".png", grey)[1].tobytes())
    np.testing.assert_array_equal(
        messages.frame_from_compressed(message).pixels, np.stack([grey] * 3, axis=-1)
    )


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("jpeg", b"", "without data"),
        ("jpeg", b"not a picture at all", "not a JPEG or PNG"),
        ("16UC1; compressedDepth png", b"x" * 20, "depth image"),
        ("16UC1; png compressed ", b"x" * 20, "not of 8 bits"),
        ("bayer_rggb8; jpeg compressed ", b"x" * 20, "Bayer mosaic"),
    ],
)
def test_malformed_compressed_images_are_refused_with_the_reason(kind: str, data: bytes, said: str) -> None:
    message = CompressedImage(format=kind)
    message.data.frombytes(data)
    with pytest.raises(ImageError, match=said):
        messages.frame_from_compressed(message)


def test_a_truncated_png_never_raises_anything_but_our_error() -> None:
    whole = compressed_message(noise(48, 64, 3), "png").data.tobytes()
    for size in range(1, len(whole), max(1, len(whole) // 40)):
        message = CompressedImage(format="png")
        message.data.frombytes(whole[:size])
        try:
            frame = messages.frame_from_compressed(message)
        except ImageError:
            continue
        assert frame.size == (48, 64)


@pytest.mark.parametrize("frame_id", ["", "c", "cam", "camera/left optical", "kamera_ü"])
@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "bgra8"])
def test_serialized_images_are_what_the_middleware_would_have_made(frame_id: str, encoding: str) -> None:
    for height, width in ((4, 6), (1, 1), (9, 3)):
        pixels = noise(height, width, CHANNELS[encoding])
        whole = image_message(pixels, encoding, frame_id=frame_id)
        whole.header.stamp.sec, whole.header.stamp.nanosec = 5, 7
        found = messages.serialized_image(whole.header, pixels, encoding)
        assert deserialize_message(found, Image) == whole
        assert len(found) == len(serialize_message(whole))  # padding bytes may hold anything


def test_a_middleware_with_another_wire_format_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert messages._data_comes_last()
    monkeypatch.setattr(messages, "_data_comes_last", lambda: False)
    pixels = noise(5, 7, 3)
    message = deserialize_message(messages.serialized_image(Header(frame_id="c"), pixels, "rgb8"), Image)
    assert message == image_message(pixels, "rgb8", frame_id="c")


def test_pictures_that_are_views_are_serialized_too() -> None:
    pixels = noise(8, 10, 3)[::2, 1:7]
    message = deserialize_message(messages.serialized_image(Header(), pixels, "rgb8"), Image)
    np.testing.assert_array_equal(pixels_of(message), pixels)


def test_the_overlay_jpeg_keeps_its_colours() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    message = messages.compressed_message(Header(), red)
    decoded = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded[16, 16, 2] > 180
    assert decoded[16, 16, 0] < 40


def test_detections_are_centre_and_size_with_the_class_number() -> None:
    header = Header(frame_id="cam")
    message = messages.detections_message(header, [Detection((10.0, 20.0, 30.0, 60.0), 0.75, 2)])
    box = message.detections[0].bbox
    assert (box.center.position.x, box.center.position.y, box.size_x, box.size_y) == (20.0, 40.0, 20.0, 40.0)
    hypothesis = message.detections[0].results[0].hypothesis
    assert (hypothesis.class_id, hypothesis.score) == ("2", 0.75)
    assert message.header == message.detections[0].header == header


def test_label_info_names_every_class_and_void(tiny_bundle: object) -> None:
    message = messages.label_info_message(Header(), load_bundle(str(tiny_bundle)), 0.25)
    named = {item.class_id: item.class_name for item in message.class_map}
    assert named == {0: "red", 1: "green", 2: "blue", 3: "void"}
    assert message.threshold == 0.25


def test_image_helper_of_the_tests_pads_rows() -> None:
    assert image_message(noise(2, 3, 3), padding=4).step == 13
    assert isinstance(image_message(noise(2, 3, 3)), Image)
