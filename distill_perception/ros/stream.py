"""A subscription to a camera, and what the middleware tells of how it fares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from ..topics import is_compressed
from .events import LostFrames, SubscriptionEventCallbacks


class CameraStream:
    """Calls back with every message of an image topic.

    Args:
        topic: absolute image topic; its name says whether Image or CompressedImage comes.
        on_frame: gets the message, or its bytes if `raw`.

    Attributes:
        qos_problem: the policy that a publisher offers incompatibly, else empty.
    """

    def __init__(
        self, node: Node, topic: str, profile: QoSProfile, on_frame: Callable[[Any], None], raw: bool = False
    ) -> None:
        self._node, self._topic = node, topic
        self._type = "sensor_msgs/msg/CompressedImage" if is_compressed(topic) else "sensor_msgs/msg/Image"
        self.qos_problem = ""
        self._subscription = node.create_subscription(
            CompressedImage if is_compressed(topic) else Image,
            topic,
            on_frame,
            profile,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
            raw=raw,
        )
        self._lost = LostFrames(self._subscription)

    def _on_incompatible_qos(self, event: Any) -> None:
        try:
            self.qos_problem = QoSPolicyKind(event.last_policy_kind).name.lower()
        except ValueError:
            self.qos_problem = "unknown policy"

    def lost(self) -> int:
        """Messages lost on their way so far."""
        return self._lost.total()

    def publishers(self) -> tuple[int, str]:
        """How many publishers the topic has, and its type if all publish another than is subscribed to."""
        endpoints = self._node.get_publishers_info_by_topic(self._topic)
        others = [info.topic_type for info in endpoints if info.topic_type != self._type]
        return len(endpoints), others[0] if others and len(others) == len(endpoints) else ""

    def destroy(self) -> None:
        """Stop listening."""
        self._lost.destroy()
        self._node.destroy_subscription(self._subscription)
