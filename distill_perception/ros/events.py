"""What the middleware tells about a subscription: that QoS does not fit, and frames lost on their way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy

try:
    from rclpy.event_handler import QoSSubscriptionEventType, SubscriptionEventCallbacks
except ImportError:  # Humble has the names that came before
    from rclpy.qos_event import QoSSubscriptionEventType, SubscriptionEventCallbacks

__all__ = ["LostFrames", "SubscriptionEventCallbacks"]
_EventHandle: Any = getattr(_rclpy, "EventHandle" if hasattr(_rclpy, "EventHandle") else "QoSEvent")


class LostFrames:
    """A subscription's count of messages lost on their way; 0 where the middleware does not count them.

    It is asked, in place of having rclpy call us: rclpy's events executor makes an asyncio loop for every
    event, and a camera with the wrong transport loses every frame.
    """

    def __init__(self, subscription: Any) -> None:
        kind = QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST
        self._event: Any = None
        with suppress(_rclpy.UnsupportedEventTypeError):
            self._event = _EventHandle(subscription.handle, kind)

    def total(self) -> int:
        """Messages lost since the subscription was made."""
        if self._event is None:
            return 0
        with self._event:
            status = self._event.take_event()
        return 0 if status is None else int(status.total_count)

    def destroy(self) -> None:
        """To be called before the subscription is destroyed."""
        if self._event is not None:
            self._event.destroy_when_not_in_use()
            self._event = None
