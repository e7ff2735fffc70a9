"""Nothing vanishes uncounted: malformed, stale and overwritten frames, and the transport of large images."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import CompressedImage

from tests.support.ros_process import (
    CameraClient,
    Client,
    compressed_message,
    image_message,
    own_domain,
    running_node,
    start_camera,
    wait_until,
)
from tests.support.tiny_bundle import write_tiny_bundle

RAW, PACKED = "/cam/image_raw", "/packed/image_raw/compressed"
COUNTERS = ("received", "processed", "dropped_overwritten", "dropped_stale", "malformed", "failed", "waiting")


class Diagnostics:
    """The newest status of a camera."""

    def __init__(self, client: Client) -> None:
        self._messages = client.collect(DiagnosticArray, "/diagnostics")

    def status(self, name: str) -> DiagnosticStatus | None:
        for message in reversed(self._messages):
            for status in message.status:
                if status.name == f"perception: {name}":
                    return status
        return None

    def counts(self, camera: str) -> dict[str, int]:
        status = self.status(camera)
        values = {} if status is None else {item.key: item.value for item in status.values}
        return {name: int(values[name]) for name in COUNTERS} if values else dict.fromkeys(COUNTERS, -1)

    def connect(self, camera: CameraClient) -> dict[str, int]:
        """Match the camera and count from what the node has by then: frames sent before may be lost."""
        camera.connect()
        seen = len(self._messages)
        wait_until(lambda: len(self._messages) >= seen + 2, 5.0, "two more diagnostics")
        counts = self.counts(camera.topic)
        camera.sent = counts["received"]
        return counts

    def wait(self, camera: str, **wanted: int) -> dict[str, int]:
        def there() -> bool:
            counts = self.counts(camera)
            return all(counts[name] == value for name, value in wanted.items())

        try:
            wait_until(there, 5.0, "counters")
        except AssertionError:
            raise AssertionError(f"diagnostics say {self.counts(camera)}, expected {wanted}") from None
        return self.counts(camera)


@pytest.fixture
def fresh_client() -> Iterator[tuple[int, Client]]:
    domain = own_domain()
    client = Client(domain)
    yield domain, client
    client.close()


def test_malformed_frames_are_counted_logged_once_and_harmless(
    fresh_client: tuple[int, Client], tiny_bundle: Path, tmp_path: Path
) -> None:
    domain, client = fresh_client
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[RAW, PACKED]) as node:
        diagnostics = Diagnostics(client)
        raw, packed = CameraClient(client, RAW), CameraClient(client, PACKED, CompressedImage)
        diagnostics.connect(raw)
        diagnostics.connect(packed)
        changes = ({"encoding": "16UC1"}, {"step": 3}, {"height": 0}, {"width": 9999}, {"height": 47})
        for change in changes:
            message = image_message(np.zeros((48, 64, 3), np.uint8))
            for field, value in change.items():
                setattr(message, field, value)
            raw.send(message)
        for data in (
            b"",
            b"rubbish",
            compressed_message(np.zeros((48, 64, 3), np.uint8)).data.tobytes()[:40],
        ):
            message = CompressedImage(format="jpeg")
            message.data.frombytes(data)
            packed.send(message)
            # The next one only when this is counted, or the slot would overwrite it undecoded.
            wait_until(
                lambda: sum(diagnostics.counts(PACKED).values()) == 2 * packed.sent, 5.0, "all counted"
            )
        assert raw.perceive(image_message(np.zeros((48, 64, 3), np.uint8))) is not None
        assert packed.perceive(compressed_message(np.zeros((48, 64, 3), np.uint8))) is not None
        for camera, count in ((raw, len(changes)), (packed, 3)):
            counts = diagnostics.wait(camera.topic, received=camera.sent, malformed=count, waiting=0)
            assert counts["received"] == sum(counts[name] for name in COUNTERS[1:])
            assert counts["processed"] >= 2
        for camera in (raw, packed):  # one does not hide the other's
            assert f"{camera.topic}: dropped a malformed frame: " in node.log
        assert node.log.count("malformed frame: ") <= 4  # throttled


def test_frames_that_are_too_old_are_counted_and_the_clock_remedy_is_given(
    fresh_client: tuple[int, Client], tiny_bundle: Path, tmp_path: Path
) -> None:
    domain, client = fresh_client
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[RAW]) as node:
        diagnostics, camera = Diagnostics(client), CameraClient(client, RAW)
        before = diagnostics.connect(camera)
        for second in range(3):
            camera.send(image_message(np.zeros((48, 64, 3), np.uint8)), Time(sec=1000 + second))
            diagnostics.wait(RAW, dropped_stale=before["dropped_stale"] + second + 1)
        node.wait_for_log("use_sim_time", 5.0)
        status = diagnostics.status(RAW)
        assert status is not None
        assert diagnostics.counts(RAW)["processed"] == before["processed"]
        # Frames without a stamp are as old as their arrival.
        camera.send(image_message(np.zeros((48, 64, 3), np.uint8)), Time())
        diagnostics.wait(RAW, processed=before["processed"] + 1)
        # And with the limit lifted at run time, old ones pass.
        assert client.set_parameter("max_age_ms", 0.0) == (True, "")
        time.sleep(0.7)  # the worker asks for the limit twice a second
        stamp = camera.send(image_message(np.zeros((48, 64, 3), np.uint8)), Time(sec=5))
        wait_until(lambda: camera.mask_of(stamp), 5.0, "mask of an old frame")


def test_a_slow_model_sees_the_newest_frames_and_the_rest_is_counted(
    fresh_client: tuple[int, Client], tmp_path: Path
) -> None:
    domain, client = fresh_client
    bundle = write_tiny_bundle(tmp_path / "slow", height=360, width=480, work=60)
    with running_node(domain, tmp_path / "log", bundle=str(bundle), cameras=[RAW], max_age_ms=0.0, threads=1):
        diagnostics, camera = Diagnostics(client), CameraClient(client, RAW)
        diagnostics.connect(camera)
        message = image_message(np.zeros((48, 64, 3), np.uint8))
        for _ in range(100):
            last = camera.send(message)
            time.sleep(0.01)  # a burst would overflow the middleware's queue, which nobody can count
        wait_until(lambda: camera.mask_of(last), 20.0, "the newest frame's mask")
        counts = diagnostics.wait(RAW, received=camera.sent, waiting=0)
        assert counts["dropped_overwritten"] > 0
        assert counts["received"] == sum(counts[name] for name in COUNTERS[1:])


@pytest.mark.slow
def test_a_camera_whose_trouble_is_over_is_said_to_be_well_again_and_the_node_lives_on(
    fresh_client: tuple[int, Client], tiny_bundle: Path, tmp_path: Path
) -> None:
    domain, client = fresh_client
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[RAW]) as node:
        camera = CameraClient(client, RAW)
        camera.connect()
        bad = image_message(np.zeros((48, 64, 3), np.uint8))
        bad.encoding = "16UC1"
        camera.send(bad)
        node.wait_for_log(f"{RAW}: 1 malformed frames", 5.0)

        def well_after_another_frame() -> bool:
            camera.perceive(image_message(np.zeros((48, 64, 3), np.uint8)))
            return f"{RAW}: well again" in node.log

        wait_until(well_after_another_frame, 20.0, "the line that all is well")
        camera.perceive(image_message(np.zeros((48, 64, 3), np.uint8)))


@pytest.mark.slow
def test_1280x720_at_30_hz_for_10_s_loses_nothing_in_transport(
    fresh_client: tuple[int, Client], tiny_bundle: Path, tmp_path: Path
) -> None:
    domain, client = fresh_client
    log = tmp_path / "log"
    with running_node(domain, log, bundle=str(tiny_bundle), cameras=[RAW], max_age_ms=500.0) as node:
        diagnostics = Diagnostics(client)
        timing = client.collect(DiagnosticArray, "/cam/perception/timing")
        camera = start_camera(domain, RAW, 1280, 720, 30.0, 300)
        output, _ = camera.communicate(timeout=60)
        report = json.loads(output)
        assert camera.returncode == 0
        assert report["published"] == 300
        assert report["seconds"] < 13, "the camera could not keep its rate"
        counts = diagnostics.wait(RAW, received=300, waiting=0)
        assert counts["processed"] + counts["dropped_overwritten"] + counts["dropped_stale"] == 300
        assert counts["malformed"] == counts["failed"] == 0
        assert counts["processed"] >= 150
        wait_until(
            lambda: len(timing) == counts["processed"], 5.0, "one timing message for each processed frame"
        )
        status = diagnostics.status(RAW)
        assert status is not None
        assert status.level == DiagnosticStatus.OK
    final = [line for line in node.log.splitlines() if "final counters" in line]
    assert len(final) == 1
    assert all(f"{name} {counts[name]}" in final[0] for name in COUNTERS)
