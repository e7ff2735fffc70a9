"""A camera in a process of its own: publishes best-effort rgb8 frames, then prints a report as JSON."""

import json
import sys
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from distill_perception.ros.transport import use_large_messages


def main(topic: str, width: int, height: int, rate_hz: float, frames: int) -> None:
    use_large_messages()
    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(
        Image, topic, QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    message = Image(height=height, width=width, step=width * 3, encoding="rgb8")
    message.header.frame_id = "camera_process"
    message.data.frombytes(np.random.default_rng(1).integers(0, 255, height * width * 3, np.uint8).tobytes())
    deadline = time.monotonic() + 20
    while not publisher.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.0)  # the subscriber's side of the match
    start = time.monotonic()
    for index in range(frames):
        time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    seconds = time.monotonic() - start
    time.sleep(0.5)
    print(json.dumps({"published": frames, "seconds": seconds}), flush=True)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), float(sys.argv[4]), int(sys.argv[5]))
