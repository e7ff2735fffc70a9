"""Live view of a running node in the terminal, from its /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..errors import ConfigError, ros_is_missing
from ..terminal import OUT
from .status import CameraStatus, Status, check_node_name, node_names, read_status

_PERCENTILES = ("p50", "p95", "p99")
_COLUMNS = ("camera", "Hz", *(f"{name} ms" for name in _PERCENTILES), "received", "dropped", "state")
_LEVELS = {1: "warning", 2: "error"}
_STYLES = {0: "green", 1: "yellow", 2: "bold red"}
_POLL_S = 0.1
_SETTLE_S = 0.5  # until all publishers are known by name


def watch(node_name: str = "perception", patience_s: float = 5.0) -> None:
    """Show the node's status until Ctrl-C.

    Raises:
        ConfigError: ROS is not installed, or no node can have this name.
    """
    with _listening(node_name) as ear:
        waiting = f"waiting for diagnostics of node '{node_name}' ... (Ctrl-C ends)"
        begun = heard_at = time.monotonic()
        latest: Status | None = None
        with Live(Text(waiting, style="dim"), console=OUT, refresh_per_second=4) as live:
            while True:
                status, now = ear.listen(), time.monotonic()
                if status is not None:
                    latest, heard_at = status, now
                    live.update(view(status, ear.namesakes()))
                elif latest is not None and now - heard_at > 3.0:
                    note = Text(f"silent for {now - heard_at:.0f} s: has the node ended?", "bold red")
                    live.update(Group(view(latest), note))
                elif latest is None and now - begun > patience_s:
                    live.update(Text(f"{waiting}\n{ear.others()}", style="dim"))


def watch_once(node_name: str = "perception", patience_s: float = 5.0) -> bool:
    """Print the node's status.

    Returns:
        Whether it is active and all its cameras are well.

    Raises:
        ConfigError: ROS is not installed, no node can have this name, or nothing was heard for `patience_s`.
    """
    with _listening(node_name) as ear:
        deadline = time.monotonic() + patience_s
        while (status := ear.listen()) is None:
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"heard no diagnostics of a node '{node_name}' for {patience_s:g} s; {ear.others()}"
                )
        settled = time.monotonic() + _SETTLE_S
        while time.monotonic() < settled:
            status = ear.listen() or status
        OUT.print(view(status, ear.namesakes()))
        return status.well


class _Ear:
    """Hears the diagnostics of one node, and which others there are."""

    def __init__(self, ros: Any, node_name: str) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        self._ros, self._name = ros, node_name.strip("/")
        self._news: list[Status] = []
        self._names: set[str] = set()
        ros.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)

    def _hear(self, message: Any) -> None:
        self._names.update(node_names(message))
        status = read_status(message, self._name)
        if status is not None:
            self._news.append(status)

    def listen(self) -> Status | None:
        """What the node says next; None if that is nothing for the moment."""
        self._ros.executor.spin_once(timeout_sec=_POLL_S)
        return self._news.pop(0) if self._news else None

    def namesakes(self) -> int:
        """How many nodes of this name publish diagnostics."""
        from .participant import publishers_of

        return publishers_of(self._ros.node, "/diagnostics").count(self._name)

    def others(self) -> str:
        """What may help who does not hear the node."""
        if self._names:
            return f"heard are: {', '.join(sorted(self._names))}; choose with --node"
        return "is it running, in this terminal's ROS_DOMAIN_ID? start one with: distill-perception run"


@contextmanager
def _listening(node_name: str) -> Iterator[_Ear]:
    check_node_name(node_name)
    try:
        from .participant import Participant
    except ImportError as error:
        raise ros_is_missing(error) from error
    ros = Participant("watch")
    try:
        yield _Ear(ros, node_name)
    finally:
        ros.close()


def view(status: Status, namesakes: int = 1) -> RenderableType:
    """The node's line, a table of its cameras, and what is wrong with them, which takes the whole width."""
    head = Text.assemble(
        (status.bundle or "no bundle loaded", "bold"),
        f"  {status.engine or 'no engine'}  ",
        (status.state, "dim"),
    )
    if status.message and status.message != status.state:
        head.append(f"\n{status.message}", _STYLES[2])
    if namesakes > 1:
        head.append(
            f"\n{namesakes} nodes have this name, and what they say takes turns here: give one another name "
            "(perception_node --ros-args -r __node:=rear; distill-perception run ... -- -r __node:=rear)",
            _STYLES[1],
        )
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in _COLUMNS:
        words = name in ("camera", "state")
        table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for camera in status.cameras:
        table.add_row(*_row(camera))
    troubles = [
        Text(f"{camera.topic}: {camera.message}", _STYLES.get(camera.level, ""))
        for camera in status.cameras
        if camera.level
    ]
    return Group(head, table, *troubles) if status.cameras else head


def _row(camera: CameraStatus) -> tuple[RenderableType, ...]:
    values = camera.values
    times = (values.get(f"total_{name}_ms") for name in _PERCENTILES)
    dropped = sum(
        int(values.get(name, 0)) for name in ("dropped_overwritten", "dropped_stale", "malformed", "failed")
    )
    return (
        camera.topic,
        f"{float(values.get('rate_hz', 0)):.1f}",
        *(f"{float(text):.1f}" if text else "-" for text in times),
        values.get("received", "-"),
        Text(str(dropped), "yellow" if dropped else ""),
        Text(_LEVELS.get(camera.level, camera.message), _STYLES.get(camera.level, "")),
    )
