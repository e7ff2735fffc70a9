"""Live view of a running node in the terminal, from its /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..errors import ConfigError, ros_is_missing
from ..terminal import OUT
from .status import CameraStatus, Status, check_node_name, read_status

_PERCENTILES = ("p50", "p95", "p99")
_COLUMNS = ("camera", "Hz", *(f"{name} ms" for name in _PERCENTILES), "received", "dropped", "state")
_LEVELS = {1: "warning", 2: "error"}
_STYLES = {0: "green", 1: "yellow", 2: "bold red"}
_POLL_S = 0.1


def watch(node_name: str = "perception", once: bool = False, patience_s: float = 5.0) -> None:
    """Show the node's status until Ctrl-C, or print it once.

    Raises:
        ConfigError: ROS is not installed, no node can have this name, or (with `once`) nothing was heard
            for `patience_s`.
    """
    check_node_name(node_name)
    with _statuses(node_name) as statuses:
        if once:
            deadline = time.monotonic() + patience_s
            for status in statuses:
                if status is not None:
                    OUT.print(view(status))
                    return
                if time.monotonic() > deadline:
                    raise ConfigError(
                        f"heard no diagnostics of a node '{node_name}' for {patience_s:g} s; is it running, "
                        "in this terminal's ROS_DOMAIN_ID? start one with: distill-perception run"
                    )
        waiting = Text(f"waiting for diagnostics of node '{node_name}' ... (Ctrl-C ends)", style="dim")
        heard_at = time.monotonic()
        latest: Status | None = None
        with Live(waiting, console=OUT, refresh_per_second=4) as live:
            for status in statuses:
                if status is not None:
                    latest, heard_at = status, time.monotonic()
                    live.update(view(status))
                elif latest is not None and time.monotonic() - heard_at > 3.0:
                    note = Text(
                        f"silent for {time.monotonic() - heard_at:.0f} s: has the node ended?", "bold red"
                    )
                    live.update(Group(view(latest), note))


@contextmanager
def _statuses(node_name: str) -> Iterator[Iterator[Status | None]]:
    """An endless stream of statuses, None while there is nothing new."""
    try:
        from diagnostic_msgs.msg import DiagnosticArray

        from .participant import Participant
    except ImportError as error:
        raise ros_is_missing(error) from error
    ros = Participant("watch")
    news: list[Status] = []

    def hear(message: DiagnosticArray) -> None:
        status = read_status(message, node_name)
        if status is not None:
            news.append(status)

    def stream() -> Iterator[Status | None]:
        while True:
            ros.executor.spin_once(timeout_sec=_POLL_S)
            yield news.pop(0) if news else None

    ros.node.create_subscription(DiagnosticArray, "/diagnostics", hear, 10)
    try:
        yield stream()
    finally:
        ros.close()


def view(status: Status) -> RenderableType:
    """The node's line, a table of its cameras, and what is wrong with them, which takes the whole width."""
    head = Text.assemble(
        (status.bundle or "no bundle loaded", "bold"),
        f"  {status.engine or 'no engine'}  ",
        (status.state, "dim"),
    )
    if status.message and status.message != status.state:
        head.append(f"\n{status.message}", _STYLES[2])
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
