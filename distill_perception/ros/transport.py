"""Make whole camera frames fit through the middleware.

Fast DDS, ROS 2's default middleware, loses best-effort messages that do not fit into its default
shared-memory segment: every 1280x720 colour frame between two processes, silently. Its built-in
``LARGE_DATA`` transports carry them. The choice is read when a process makes its first participant, so it must
be in the environment before ``rclpy.init``, and the process that publishes the camera needs it too.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
LARGE_DATA = "LARGE_DATA"
REMEDY = (
    f"start the camera's process with {VARIABLE}={LARGE_DATA} in its environment, as this node has been "
    "(Fast DDS silently loses large images otherwise), and check ROS_DOMAIN_ID"
)

# Whoever sets one of these has chosen the transports; a profile can hold more than we know.
_CHOSEN_BY_USER = (
    VARIABLE,
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
)


def use_large_messages(environ: MutableMapping[str, str] | None = None) -> bool:
    """Set Fast DDS up for camera frames, unless the user has chosen transports or another middleware.

    Args:
        environ: the environment to change; the process's own when None.

    Returns:
        True when the variable was set, False when the user's own choice was left alone.
    """
    env = os.environ if environ is None else environ
    middleware = env.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if "fastrtps" not in middleware or any(env.get(name) for name in _CHOSEN_BY_USER):
        return False
    env[VARIABLE] = LARGE_DATA
    return True
