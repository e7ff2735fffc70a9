"""A node that receives a camera's frames and does nothing with them: what a camera alone costs a machine.

python -m benchmarks.listener TOPIC
"""

import sys
from contextlib import suppress

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from distill_perception.ros.transport import use_large_messages


def main() -> None:
    """Listen until interrupted."""
    use_large_messages()
    rclpy.init()
    node = rclpy.create_node("listener")
    node.create_subscription(Image, sys.argv[1], lambda data: None, qos_profile_sensor_data, raw=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
