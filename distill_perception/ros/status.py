"""Read the perception node's part of a diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..topics import is_ros_name

_OWN_LINE = ": node"


@dataclass(frozen=True)
class CameraStatus:
    """One camera's line. level: 0 ok, 1 warning, 2 error; values: the node's figures as it wrote them."""

    topic: str
    level: int
    message: str
    values: dict[str, str]


@dataclass(frozen=True)
class Status:
    """What the node says of itself and its cameras. sha256: of the model file that it has loaded."""

    engine: str
    bundle: str
    precision: str
    sha256: str
    state: str
    message: str
    cameras: tuple[CameraStatus, ...]

    @property
    def well(self) -> bool:
        """Whether the node is active and nothing is wrong with any camera."""
        return self.state == "active" and not any(camera.level for camera in self.cameras)

    @property
    def counters(self) -> dict[str, dict[str, int]]:
        """Whole-number figures by camera topic: received, processed, dropped_stale, ..."""
        return {
            camera.topic: {name: int(text) for name, text in camera.values.items() if text.isdigit()}
            for camera in self.cameras
        }


def read_status(message: Any, node_name: str = "perception") -> Status | None:
    """The node's status, or None if the array is another node's.

    Lines are named `NODE: WHAT`, the node with its namespace. Camera lines are those that count received
    frames; their hardware_id is the image topic. The node's own line tells its lifecycle state.
    """
    cameras = []
    own: dict[str, str] = {}
    words = ""
    for status in message.status:
        if status.name.partition(": ")[0] != node_name.strip("/"):
            continue
        values = {pair.key: pair.value for pair in status.values}
        if "received" in values:
            cameras.append(CameraStatus(status.hardware_id, status.level[0], status.message, values))
        elif "state" in values:
            own, words = values, status.message
    if not cameras and not own:
        return None
    bundle = f"{own.get('bundle', '')} {own.get('bundle_version', '')}".strip()
    engine = own.get("engine_description", own.get("engine", ""))
    precision, sha256 = own.get("precision", ""), own.get("model_sha256", "")
    return Status(engine, bundle, precision, sha256, own.get("state", ""), words, tuple(cameras))


def node_names(message: Any) -> list[str]:
    """The perception nodes that speak in a diagnostic_msgs/DiagnosticArray, with their namespaces."""
    return [
        status.name.removesuffix(_OWN_LINE)
        for status in message.status
        if status.name.endswith(_OWN_LINE) and {"state", "bundle"} <= {pair.key for pair in status.values}
    ]


def check_node_name(name: str) -> None:
    """Refuse what no node can be called, after its namespace if it has one.

    Raises:
        ConfigError: naming it.
    """
    if not is_ros_name("/" + name.strip("/")):
        raise ConfigError(
            f"--node '{name}' is not a node's name, such as perception or car/perception; "
            "`ros2 node list` shows those that run"
        )
