"""What the node says of its frames after the last answer, by a node of this test."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage

pytestmark = [pytest.mark.ros]
pytest.importorskip("rclpy", reason="the link to a node needs rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue  # noqa: E402
from rclpy.duration import Duration  # noqa: E402

from distill_perception.replay.link import Link  # noqa: E402
from tests.support.ros_process import Client, own_domain, wait_until  # noqa: E402

CAM = "/cam/image_raw"


@pytest.fixture
def domain() -> int:
    return own_domain()


@pytest.fixture
def link(domain: int) -> Iterator[Link]:
    with MaskSpool() as masks, Link({CAM: CAM}, ("detection",), "perception", domain, masks) as link:
        yield link


@pytest.fixture
def client(domain: int) -> Iterator[Client]:
    client = Client(domain)
    yield client
    client.close()


def counted(processed: int) -> DiagnosticArray:
    values = [KeyValue(key="received", value="1"), KeyValue(key="processed", value=str(processed))]
    status = DiagnosticStatus(name=f"perception: {CAM}", hardware_id=CAM, values=values)
    return DiagnosticArray(status=[status])


def speak(client: Client, processed: list[int]) -> None:
    """Publish diagnostics, the first of them at once, so that they lie in the link's queue."""
    diagnostics = client.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
    wait_until(diagnostics.get_subscription_count, 15.0, "the link listens")
    diagnostics.publish(counted(processed[0]))
    assert diagnostics.wait_for_all_acked(Duration(seconds=15.0)), "the first lies in the link's queue"
    later = iter(processed[1:])
    client.node.create_timer(0.2, lambda: diagnostics.publish(counted(next(later, processed[-1]))))


def test_counters_are_taken_from_diagnostics_that_count_the_last_answer(link: Link, client: Client) -> None:
    image = RecordedImage(np.zeros(18, np.uint8), "", encoding="bgr8", height=2, width=3, step=9)
    link.ledger.note_sent(BagFrame(CAM, 1, 1, image), 1)
    stamp = SimpleNamespace(sec=0, nanosec=1)
    link.ledger.on_detections(CAM, SimpleNamespace(header=SimpleNamespace(stamp=stamp), detections=[]))
    speak(client, [0, 0, 0, 1])

    link.spin_for_status()

    assert link.recording(True).counters[CAM]["processed"] == 1


def test_diagnostics_that_lay_in_the_queue_are_not_the_next(link: Link, client: Client) -> None:
    speak(client, [3, 7])

    link.spin_for_status()

    assert link.recording(True).counters[CAM]["processed"] == 7
