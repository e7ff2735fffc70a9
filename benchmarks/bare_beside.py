"""The least that a node can be: receives the camera's frames, drops them, runs the engine without a pause.

No node on this machine infers more often beside this camera; node_overhead.py sets the real one against it.

    python -m benchmarks.bare_beside TOPIC BUNDLE ENGINE PRECISION THREADS
"""

import sys
import threading
from contextlib import suppress

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.ros.node import make_executor
from distill_perception.ros.transport import use_large_messages


def main(topic: str, bundle: str, engine: str, precision: str, threads: str) -> None:
    use_large_messages()
    settings = EngineSettings(precision=precision, threads=int(threads))
    opened = open_engine(load_bundle(bundle), engine, settings)
    opened.warm_up()
    frames = np.zeros((1, *opened.input_size, 3), np.uint8)
    rclpy.init()
    node = rclpy.create_node("bare_beside")
    publisher = node.create_publisher(Image, f"{topic.rpartition('/')[0]}/perception/mask", 5)
    node.create_subscription(Image, topic, lambda _: None, qos_profile_sensor_data)
    spinning = make_executor()
    spinning.add_node(node)
    threading.Thread(target=_spin, args=(spinning,), daemon=True).start()
    answer = Image(height=1, width=1, step=1, encoding="mono8", data=[0])
    while rclpy.ok():
        opened.infer(frames)
        answer.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(answer)


def _spin(executor: rclpy.executors.Executor) -> None:
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main(*sys.argv[1:])
