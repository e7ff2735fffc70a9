"""The quality of service of every topic, in one place."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITIES = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
    "system_default": ReliabilityPolicy.SYSTEM_DEFAULT,
}

# A reliable publisher serves reliable subscribers (RViz) and best-effort ones alike. Keep-last never blocks
# it: a subscriber that falls five results behind loses the oldest.
RESULTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)

# What a late subscriber must still learn: the classes behind the mask's ids.
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def camera_qos(reliability: str, depth: int) -> QoSProfile:
    """QoS of an image subscription.

    ``best_effort`` receives from best-effort and reliable publishers; ``reliable`` only from reliable ones.

    Args:
        reliability: a key of ``RELIABILITIES``.
        depth: frames the middleware may hold while the node is busy; newer ones replace them there uncounted,
            so it is larger than the one slot in which the node itself keeps and counts them.
    """
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=RELIABILITIES[reliability])
