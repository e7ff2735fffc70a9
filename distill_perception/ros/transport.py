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
from collections.abc import Mapping, MutableMapping

from ..share import share_path

# Fast DDS 2 has the old name; both would do for Fast DDS 3, but it warns of the old one.
_OLD = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE" if _OLD else "FASTDDS_DEFAULT_PROFILES_FILE"
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
    if _middleware(env) or _own_choice(env):
        return False
    env[VARIABLE] = _profile()
    return True


def remedy(environ: Mapping[str, str] | None = None) -> str:
    """What a user does whose large images do not arrive, with this middleware and these transports.

    Args:
        environ: the environment of the process that listens; this process's own when None.
    """
    env = os.environ if environ is None else environ
    if middleware := _middleware(env):
        return (
            f"look at what {middleware} wants for large images, often larger socket buffers (sudo sysctl -w "
            "net.core.rmem_max=2147483647), in the camera's process and in this one"
        )
    if own := _own_choice(env):
        return (
            f"the transports are of your own choosing ({own}): give them to the camera's process too, with "
            f"room for whole images; where nothing is chosen, {_profile()} is used"
        )
    return (
        f"start the camera's process with {VARIABLE}={_profile()} in its environment (Fast DDS silently "
        "loses large images otherwise)"
    )


def _profile() -> str:
    return str(share_path("config", "fastdds.xml"))


def _middleware(env: Mapping[str, str]) -> str:
    """The middleware where it is not Fast DDS, else empty."""
    chosen = env.get("RMW_IMPLEMENTATION") or ""
    return "" if "fastrtps" in chosen else chosen


def _own_choice(env: Mapping[str, str]) -> str:
    """The transports that the user has chosen, as VARIABLE=VALUE, else empty."""
    for name in _CHOICES:
        if env.get(name, "") not in ("", _profile()):
            return f"{name}={env[name]}"
    return ""
