"""Make whole camera frames fit through the middleware.

Fast DDS, ROS 2's default middleware, loses best-effort messages that do not fit into its default
shared-memory segment: every 1280x720 colour frame between two processes, silently. Its built-in
``LARGE_DATA`` transports carry them. The choice is read when a process makes its first participant, so it
must be in the environment before ``rclpy.init``, and the process that publishes the camera needs it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
LARGE_DATA = "LARGE_DATA"
RANGE_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
REMEDY = (
    f"start the camera's process with {VARIABLE}={LARGE_DATA} in its environment, as this node has been "
    f"(Fast DDS silently loses large images otherwise), without {RANGE_VARIABLE}=LOCALHOST, and "
    "check ROS_DOMAIN_ID"
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
    if not _is_fast_dds(env) or any(env.get(name) for name in _CHOSEN_BY_USER):
        return False
    env[VARIABLE] = LARGE_DATA
    return True


def transport_problem(environ: Mapping[str, str] | None = None) -> str | None:
    """Say why large images will be lost in this environment although ``use_large_messages`` was called.

    With the discovery range LOCALHOST, rmw_fastrtps replaces whatever transports were chosen by its own,
    which have the small segment again (its ``participant.cpp``).
    """
    env = os.environ if environ is None else environ
    if _is_fast_dds(env) and env.get(RANGE_VARIABLE, "").upper() == "LOCALHOST":
        return (
            f"{RANGE_VARIABLE}=LOCALHOST makes Fast DDS ignore {VARIABLE}, so images above 0.5 MB "
            "will be lost; use SUBNET (the default) with a ROS_DOMAIN_ID of your own"
        )
    return None


def _is_fast_dds(env: Mapping[str, str]) -> bool:
    return "fastrtps" in (env.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp")
