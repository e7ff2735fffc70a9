"""A camera and a listener in one process, to load a node and see what comes back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from distill_perception.ros.node import make_executor

TOPIC = "/bench/image_raw"
BEST_EFFORT = QoSProfile(depth=20, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class Answers:
    """What came back: end-to-end latency and stage times by frame, and the rate of masks."""

    sent: int
    latency_ms: np.ndarray
    stages_ms: dict[str, np.ndarray]
    rate_hz: float


class NoAnswerError(Exception):
    """The node sends no masks."""


class CameraLoad:
    """Publishes bgr8 frames of one size and notes when each mask arrives."""

    def __init__(self, width: int, height: int, topic: str = TOPIC) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node(f"camera_of_{topic.split('/')[1]}", context=self._context)
        self._publisher = self._node.create_publisher(Image, topic, BEST_EFFORT)
        self._masks: dict[tuple[int, int], float] = {}
        self._timings: list[dict[str, float]] = []
        self._message = Image(height=height, width=width, step=width * 3, encoding="bgr8")
        noise = np.random.default_rng(0).integers(0, 256, height * width * 3, np.uint8)
        self._message.data.frombytes(noise.tobytes())
        self._executor = make_executor(self._context)
        self._executor.add_node(self._node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _on_mask(self, message: Image) -> None:
        self._masks[message.header.stamp.sec, message.header.stamp.nanosec] = time.perf_counter()

    def _on_timing(self, message: DiagnosticArray) -> None:
        self._timings.append({item.key: float(item.value) for item in message.status[0].values})

    def _send(self) -> tuple[int, int]:
        stamp = self._message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._message)
        return stamp.sec, stamp.nanosec

    def connect(self, timeout_s: float = 60.0) -> None:
        """Send frames until masks come back."""
        self._node.create_subscription(Image, "/bench/perception/mask", self._on_mask, BEST_EFFORT)
        deadline = time.monotonic() + timeout_s
        while not self._masks and time.monotonic() < deadline:
            if self._publisher.get_subscription_count():
                self._send()
            time.sleep(0.2)
        if not self._masks:
            raise NoAnswerError(f"the node answers no frame within {timeout_s:g} s; is the bundle right?")
        time.sleep(0.5)

    def listen_to_timing(self) -> None:
        """Subscribe to the stage times, which the node publishes only while somebody does."""
        self._node.create_subscription(DiagnosticArray, "/bench/perception/timing", self._on_timing, 50)
        time.sleep(1.0)

    def wait_for_listener(self, timeout_s: float = 30.0) -> None:
        """Wait until somebody subscribes."""
        deadline = time.monotonic() + timeout_s
        while not self._publisher.get_subscription_count():
            if time.monotonic() > deadline:
                raise NoAnswerError(f"nobody listens within {timeout_s:g} s")
            time.sleep(0.1)

    def send(self, rate_hz: float, seconds: float) -> dict[tuple[int, int], float]:
        """Publish at a rate; stamps with the times at which they were sent."""
        sent: dict[tuple[int, int], float] = {}
        start = time.perf_counter()
        for index in range(max(5, int(rate_hz * seconds))):
            time.sleep(max(0.0, start + index / rate_hz - time.perf_counter()))
            before = time.perf_counter()
            sent[self._send()] = before
        return sent

    def drive(self, rate_hz: float, seconds: float) -> Answers:
        """Publish at a rate, wait for the last answers.

        Raises:
            NoAnswerError: there are none.
        """
        self._masks.clear()
        self._timings.clear()
        start = time.perf_counter()
        sent = self.send(rate_hz, seconds)
        time.sleep(2.0)
        if not self._masks:
            raise NoAnswerError(f"the node has stopped answering: none of {len(sent)} frames")
        arrived = sorted(self._masks.values())
        latency = [(self._masks[stamp] - at) * 1e3 for stamp, at in sent.items() if stamp in self._masks]
        stages = {
            key: np.array([timing[key] for timing in self._timings])
            for key in (self._timings[0] if self._timings else ())
        }
        rate = len(arrived) / (time.perf_counter() - start)
        if len(arrived) > 2:
            rate = (len(arrived) - 1) / (arrived[-1] - arrived[0])
        return Answers(len(sent), np.array(latency), stages, rate)


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[None]:
    """A Python process that is interrupted at the end."""
    root = Path(__file__).resolve().parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    with log.open("w") as output:
        child = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=subprocess.STDOUT, env=env
        )
    try:
        yield
    finally:
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(10)
        child.kill()
