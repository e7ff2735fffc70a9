"""Make whole camera frames fit through the middleware.

Fast DDS, ROS 2's default middleware, loses best-effort messages that do not fit into the sender's default
shared-memory segment: every 1280x720 colour frame between two processes, silently. `config/fastdds.xml` has
a larger segment beside the default transports, so that processes without it still hear the node and are
heard, which Fast DDS's own ``LARGE_DATA`` does not give. The choice is read when a process makes its first
participant, so it must be in the environment before ``rclpy.init``, and the process that publishes the camera
needs it too.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

from ..share import share_path

# Fast DDS 2 has the old name; both would do for Fast DDS 3, but it warns of the old one.
_OLD = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE" if _OLD else "FASTDDS_DEFAULT_PROFILES_FILE"
REMEDY = (
    f"start the camera's process with {VARIABLE}=$(ros2 pkg prefix --share distill_perception)"
    "/config/fastdds.xml in its environment (Fast DDS silently loses large images otherwise)"
)

# Whoever sets one of these has chosen the transports; a profile can hold more than we know.
_CHOICES = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
)


def use_large_messages(environ: MutableMapping[str, str] | None = None) -> bool:
    """Set Fast DDS up for camera frames, unless the user has chosen transports or another middleware.

    Args:
        environ: the environment to change; the process's own when None.

    Returns:
        True when it is set up, False when the user's own choice was left alone.
    """
    env = os.environ if environ is None else environ
    ours = str(share_path("config", "fastdds.xml"))
    chosen = {env.get(name) for name in _CHOICES} - {None, "", ours}
    if chosen or "fastrtps" not in (env.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp"):
        return False
    env[VARIABLE] = ours
    return True
