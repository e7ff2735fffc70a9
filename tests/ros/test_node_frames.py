"""Frames through the real node in its own process, over DDS."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from tests.support.encodings import SHARING
from tests.support.ros_process import (
    BEST_EFFORT,
    LATCHED,
    RELIABLE,
    CameraClient,
    Client,
    NodeProcess,
    compressed_message,
    image_message,
    pixels_of,
    running_node,
    wait_until,
)
from tests.support.tiny_bundle import BOX_SHARES, LABELS, SCORES

FRONT, REAR, PACKED = "/front/image_raw", "/rear/image_raw", "/packed/image_raw/compressed"
CODES = {
    "rgb8": lambda rgb: rgb,
    "bgr8": lambda rgb: rgb[..., ::-1],
    "rgba8": lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 9, np.uint8)]),
    "bgra8": lambda rgb: np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 9, np.uint8)]),
    "yuv422_yuy2": SHARING["yuv422_yuy2"],
}


@pytest.fixture(scope="module")
def node(domain: int, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    log = tmp_path_factory.mktemp("node") / "log.txt"
    with running_node(domain, log, bundle=str(tiny_bundle), cameras=[FRONT, REAR, PACKED]) as node:
        yield node


@pytest.fixture(scope="module")
def front(node: NodeProcess, client: Client) -> CameraClient:
    camera = CameraClient(client, FRONT)
    camera.connect()
    return camera


def quadrants(height: int, width: int) -> np.ndarray:
    """RGB picture of four flat quadrants: red, green / blue, red."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2, 0] = 250
    picture[: height // 2, width // 2 :, 1] = 250
    picture[height // 2 :, : width // 2, 2] = 250
    picture[height // 2 :, width // 2 :, 0] = 250
    return picture


def quadrant_mask(height: int, width: int) -> np.ndarray:
    """What the tiny bundle must say about `quadrants`."""
    return quadrants(height, width).argmax(axis=2).astype(np.uint8)


def test_stamp_and_frame_id_are_the_images(front: CameraClient) -> None:
    message = image_message(quadrants(48, 64), frame_id="camera/left optical")
    stamp = front.send(message)
    mask = wait_until(lambda: front.mask_of(stamp), 5.0, "mask")
    assert mask.header == message.header
    assert mask.header.frame_id == "camera/left optical"


@pytest.mark.parametrize("encoding", CODES)
@pytest.mark.parametrize("padding", [0, 7])
def test_the_mask_says_what_the_model_must_in_every_encoding(
    front: CameraClient, encoding: str, padding: int
) -> None:
    picture = CODES[encoding](quadrants(48, 64))
    mask = front.perceive(image_message(picture, encoding, padding))
    np.testing.assert_array_equal(pixels_of(mask), quadrant_mask(48, 64))
    assert mask.encoding == "mono8"


def test_mono_pictures_are_accepted(front: CameraClient) -> None:
    mask = front.perceive(image_message(np.full((48, 64), 120, np.uint8), "mono8", 5))
    np.testing.assert_array_equal(pixels_of(mask), np.zeros((48, 64), np.uint8))  # all equal: the first class


@pytest.mark.parametrize("size", [(96, 128), (720, 1280), (33, 21), (1080, 1920)])
def test_masks_have_the_cameras_resolution(front: CameraClient, size: tuple[int, int]) -> None:
    mask = pixels_of(front.perceive(image_message(quadrants(*size)), timeout_s=10.0))
    assert mask.shape == size
    margin_y, margin_x = size[0] // 12, size[1] // 12  # linear interpolation blurs the quadrants' borders
    inside = np.ones(size, bool)
    inside[size[0] // 2 - margin_y : size[0] // 2 + margin_y + 1] = False
    inside[:, size[1] // 2 - margin_x : size[1] // 2 + margin_x + 1] = False
    np.testing.assert_array_equal(mask[inside], quadrant_mask(*size)[inside])


def test_detections_are_in_camera_pixels(front: CameraClient, client: Client) -> None:
    found: list[Detection2DArray] = client.collect(Detection2DArray, "/front/perception/detections")
    wait_until(lambda: front.perceive(image_message(quadrants(96, 128))) and found, 10.0, "detections")
    stamp = front.send(image_message(quadrants(96, 128), frame_id="eye"))
    message = wait_until(
        lambda: [m for m in found if (m.header.stamp.sec, m.header.stamp.nanosec) == stamp], 5.0, "detections"
    )[0]
    assert message.header.frame_id == "eye"
    kept = SCORES >= 0.3
    boxes = BOX_SHARES[kept] * np.float32([128, 96, 128, 96])
    assert len(message.detections) == kept.sum()
    for detection, box, score, label in zip(
        message.detections, boxes, SCORES[kept], LABELS[kept], strict=True
    ):
        center, result = detection.bbox.center.position, detection.results[0].hypothesis
        corners = (
            center.x - detection.bbox.size_x / 2,
            center.y - detection.bbox.size_y / 2,
            center.x + detection.bbox.size_x / 2,
            center.y + detection.bbox.size_y / 2,
        )
        np.testing.assert_allclose(corners, box, atol=1e-3)
        assert result.class_id == str(label)
        assert result.score == pytest.approx(score)


def test_reliable_publishers_are_heard_too(node: NodeProcess, client: Client) -> None:
    camera = CameraClient(client, REAR, profile=RELIABLE)
    camera.connect()
    np.testing.assert_array_equal(
        pixels_of(camera.perceive(image_message(quadrants(48, 64)))), quadrant_mask(48, 64)
    )


def test_compressed_pictures_are_decoded(node: NodeProcess, client: Client) -> None:
    camera = CameraClient(client, PACKED, CompressedImage)
    assert camera.namespace == "/packed"
    camera.connect()
    for kind in ("png", "jpeg"):
        mask = pixels_of(camera.perceive(compressed_message(quadrants(48, 64), kind)))
        assert (mask == quadrant_mask(48, 64)).mean() > 0.98  # JPEG smears the borders


def test_two_cameras_at_once_each_get_their_own_masks(front: CameraClient, client: Client) -> None:
    rear = CameraClient(client, REAR)
    rear.connect()
    red, blue = np.zeros((48, 64, 3), np.uint8), np.zeros((60, 80, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 200
    for _ in range(5):
        stamps = front.send(image_message(red)), rear.send(image_message(blue))
        masks = [
            wait_until(lambda camera=camera, stamp=stamp: camera.mask_of(stamp), 5.0, camera.topic)
            for camera, stamp in zip((front, rear), stamps, strict=True)
        ]
        assert pixels_of(masks[0]).shape == (48, 64)
        assert pixels_of(masks[1]).shape == (60, 80)
        assert not pixels_of(masks[0]).any()
        assert (pixels_of(masks[1]) == 2).all()


@pytest.mark.parametrize("profile", [RELIABLE, BEST_EFFORT], ids=["reliable", "best effort"])
def test_pictures_are_rendered_for_whoever_looks(
    front: CameraClient, client: Client, profile: QoSProfile
) -> None:
    names = ("mask_color", "overlay", "confidence")
    seen = {name: client.collect(Image, f"/front/perception/{name}", profile) for name in names}
    packed = client.collect(CompressedImage, "/front/perception/overlay/compressed", profile)
    timing = client.collect(DiagnosticArray, "/front/perception/timing", profile)

    picture = np.maximum(quadrants(48, 64), 100)
    sent = set()

    def all_came() -> bool:
        mask = front.perceive(image_message(picture, frame_id="front_optical"))
        sent.add((mask.header.stamp.sec, mask.header.stamp.nanosec))
        return bool(packed and timing and all(seen.values()))

    wait_until(all_came, 10.0, "mask_color, overlay, overlay/compressed, confidence and timing")
    colors = pixels_of(seen["mask_color"][-1])
    np.testing.assert_array_equal(colors, np.eye(3, dtype=np.uint8)[quadrant_mask(48, 64)] * 255)
    confidence = pixels_of(seen["confidence"][-1])
    np.testing.assert_array_equal(confidence, quadrants(48, 64).max(axis=2))
    overlay = pixels_of(seen["overlay"][-1])
    for corner in (np.s_[:24, :32], np.s_[:24, 32:], np.s_[24:, :32]):  # each of another class
        before, after, color = (
            np.median(image[corner].reshape(-1, 3), axis=0) for image in (picture, overlay, colors)
        )
        between = (np.minimum(before, color) < after) & (after < np.maximum(before, color))
        assert between[abs(before - color) > 50].all()
    assert "jpeg" in packed[-1].format
    for message in (*(messages[-1] for messages in seen.values()), packed[-1], timing[-1]):
        assert message.header.frame_id == "front_optical"
        assert (message.header.stamp.sec, message.header.stamp.nanosec) in sent
    stages = {item.key: float(item.value) for item in timing[-1].status[0].values}
    assert list(stages) == ["queue", "preprocess", "inference", "postprocess", "publish", "total"]
    parts = sum(value for key, value in stages.items() if key != "total")
    assert 0.5 * stages["total"] < parts <= stages["total"] * 1.02 + 0.1


def test_a_late_subscriber_learns_the_classes(front: CameraClient, client: Client) -> None:
    labels = client.collect(LabelInfo, "/front/perception/label_info", LATCHED)
    info = client.collect(VisionInfo, "/front/perception/vision_info", LATCHED)
    wait_until(lambda: labels and info, 10.0, "label_info and vision_info")
    names = {item.class_id: item.class_name for item in labels[0].class_map}
    assert names == {0: "red", 1: "green", 2: "blue", 3: "void"}
    assert "tiny 0.0.1" in info[0].method
    assert info[0].database_location == "/front/perception/label_info"
