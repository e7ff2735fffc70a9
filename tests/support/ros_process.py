"""The node under test in its own process, and a client that talks to it over real DDS; waits are bounded."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from distill_perception.replay.node_process import is_domain_free
from distill_perception.ros.transport import use_large_messages
from tests.support.environ import ROOT, with_checkout

_WORKERS = 4  # as many as scripts/test.sh lets start nodes at a time

use_large_messages()  # before the first participant of this process

BEST_EFFORT = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Poll until the condition is true and return its value; fail with `what` after the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s:g} s: {what}")


def _domains() -> list[int]:
    """The ROS domains of this worker, which no other worker has, in random order."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    width = 100 // _WORKERS
    return random.SystemRandom().sample(range(1 + worker * width, 1 + (worker + 1) * width), width)


_DOMAINS = deque(_domains())


def own_domain() -> int:
    """A ROS domain of this test's own, not even that of a test just before: its nodes may still be about.

    Replays of other workers are in domains that they choose among all.
    """
    for _ in range(len(_DOMAINS)):
        _DOMAINS.rotate()
        if is_domain_free(_DOMAINS[0]):
            return _DOMAINS[0]
    raise AssertionError(f"all ROS domains of this worker are in use: {sorted(_DOMAINS)}")


def environment(domain: int) -> dict[str, str]:
    """Environment of a ROS process in a domain of its own."""
    return with_checkout(ROS_DOMAIN_ID=str(domain), PYTHONUNBUFFERED="1")


class NodeProcess:
    """`perception_node` as a user starts it; its output goes to a file."""

    def __init__(
        self,
        domain: int,
        log: Path,
        parameters: Mapping[str, Any],
        *arguments: str,
        program: Sequence[str] = ("-m", "distill_perception.ros.node"),
    ) -> None:
        command = [sys.executable, *program, *arguments, "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={json.dumps(value)}"]
        self.log_file = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment(domain), cwd=ROOT
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for_log(self, text: str, timeout_s: float = 30.0) -> None:
        def said() -> bool:
            assert text in self.log or self._process.poll() is None, f"the node ended:\n{self.log}"
            return text in self.log

        try:
            wait_until(said, timeout_s, f"the node's log says '{text}'")
        except AssertionError as exc:
            raise AssertionError(f"{exc}; it says:\n{self.log}") from None

    def wait(self, timeout_s: float = 30.0) -> int:
        """The exit code, once the node has ended by itself."""
        return self._process.wait(timeout_s)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGINT, timeout_s: float = 15.0) -> int:
        """Send a signal and return the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"the node did not end after signal {number}:\n{self.log}") from None


@contextmanager
def running_node(domain: int, log: Path, **parameters: Any) -> Iterator[NodeProcess]:
    """The node, active; it must end with exit code 0 and without a traceback."""
    node = NodeProcess(domain, log, parameters)
    try:
        node.wait_for_log("active:")
        yield node
    finally:
        code = node.stop()
    assert code == 0, node.log
    assert "Traceback" not in node.log, node.log


class Client:
    """A ROS node in this process, spun by a thread."""

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("test_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stopping.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def collect(self, kind: type, topic: str, profile: QoSProfile = RELIABLE) -> list:
        """A list to which every message of the topic is added."""
        messages: list = []
        self.node.create_subscription(kind, topic, messages.append, profile)
        self._executor.wake()
        return messages

    def call(self, kind: type, name: str, request: Any, timeout_s: float = 30.0) -> Any:
        client = self.node.create_client(kind, name)
        try:
            assert client.wait_for_service(timeout_s), f"no service {name}"
            future = client.call_async(request)
            self._executor.wake()
            wait_until(future.done, timeout_s, f"answer of {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def change_state(self, transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "/perception/change_state", request).success)

    def state(self) -> str:
        return str(self.call(GetState, "/perception/get_state", GetState.Request()).current_state.label)

    def set_parameter(self, name: str, value: Any) -> tuple[bool, str]:
        """Set a parameter of the node; returns whether it was accepted, and the reason if not."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        result = self.call(SetParametersAtomically, "/perception/set_parameters_atomically", request).result
        return bool(result.successful), str(result.reason)


class CameraClient:
    """Publishes one camera's pictures and collects the masks that come back."""

    def __init__(
        self, client: Client, topic: str, kind: type = Image, profile: QoSProfile = BEST_EFFORT
    ) -> None:
        self.client, self.topic, self.kind = client, topic, kind
        self.namespace = topic.removesuffix("/compressed").rpartition("/")[0]
        self._publisher = client.node.create_publisher(kind, topic, profile)
        self.masks = client.collect(Image, f"{self.namespace}/perception/mask", BEST_EFFORT)
        self.sent = 0

    def send(self, message: Any, stamp: Any = None) -> tuple[int, int]:
        """Publish with this stamp, or with now; returns (sec, nanosec)."""
        message.header.stamp = stamp or self.client.node.get_clock().now().to_msg()
        self._publisher.publish(message)
        self.sent += 1
        return message.header.stamp.sec, message.header.stamp.nanosec

    def mask_of(self, stamp: tuple[int, int]) -> Image | None:
        for mask in self.masks:
            if (mask.header.stamp.sec, mask.header.stamp.nanosec) == stamp:
                return mask
        return None

    def connect(self) -> None:
        """Send small pictures until one comes back, so that both directions are known to be matched."""
        wait_until(self._publisher.get_subscription_count, 15.0, f"somebody subscribes to {self.topic}")
        for _ in range(20):
            stamp = self.send(picture_message(self.kind, np.zeros((8, 8, 3), np.uint8)))
            try:
                wait_until(lambda stamp=stamp: self.mask_of(stamp), 1.0, "mask")
                return
            except AssertionError:
                continue
        raise AssertionError(f"no mask for {self.topic}")

    def perceive(self, message: Any, timeout_s: float = 5.0) -> Image:
        """Publish a picture and return its mask message."""
        stamp = self.send(message)
        return wait_until(lambda: self.mask_of(stamp), timeout_s, f"mask for {self.topic} {stamp}")


def image_message(
    pixels: np.ndarray, encoding: str = "rgb8", padding: int = 0, frame_id: str = "cam"
) -> Image:
    """A picture uint8 [H,W] or [H,W,C] as a message whose rows are padded by so many bytes."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.header.frame_id = frame_id
    message.data.frombytes(rows.tobytes())
    return message


def compressed_message(pixels_rgb: np.ndarray, kind: str = "png") -> CompressedImage:
    """A picture uint8 [H,W,3] RGB as a PNG or JPEG message."""
    import cv2

    message = CompressedImage(format=kind)
    message.data.frombytes(cv2.imencode(f".{kind}", pixels_rgb[..., ::-1])[1].tobytes())
    return message


def picture_message(kind: type, pixels_rgb: np.ndarray) -> Any:
    """A picture uint8 [H,W,3] RGB as `Image` or `CompressedImage`."""
    return compressed_message(pixels_rgb) if kind is CompressedImage else image_message(pixels_rgb)


def pixels_of(message: Image) -> np.ndarray:
    """The picture of a message: uint8 [H,W] or [H,W,C]; independent of the package's own reader."""
    channels = {"mono8": 1, "rgb8": 3}[message.encoding]
    assert message.step == message.width * channels
    array = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.width, channels)
    return array[..., 0] if channels == 1 else array


def start_camera(
    domain: int, topic: str, width: int, height: int, rate_hz: float, frames: int
) -> subprocess.Popen:
    """A process that publishes a camera's frames at a rate, then prints what it did as JSON."""
    arguments = [topic, str(width), str(height), str(rate_hz), str(frames)]
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("camera_process.py")), *arguments],
        stdout=subprocess.PIPE,
        env=environment(domain),
        cwd=ROOT,
        text=True,
    )
