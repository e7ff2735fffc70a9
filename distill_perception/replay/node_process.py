"""The perception node as a process of its own, with its log kept for when it dies."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..child import module_command
from ..errors import ReplayError

_TAIL_LINES = 15


@dataclass(frozen=True)
class NodeOptions:
    """Parameters for the node that a replay starts. extra: further `name:=value` parameter assignments."""

    bundle: str
    cameras: tuple[str, ...]
    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """As ROS arguments."""
        names = ("bundle", "cameras", "engine", "precision", "device", "threads")
        values = {name: getattr(self, name) for name in names}
        return ros_arguments({**values, "autostart": True}, self.extra)


def ros_arguments(values: Mapping[str, object], extra: Sequence[str] = ()) -> list[str]:
    """Parameters as ROS arguments.

    Args:
        values: by name; JSON is YAML in which `1` and `on` stay texts, but for its escapes of emoji.
        extra: `name:=value` assignments, which come last and so win.
    """
    assignments = [f"{name}:={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return ["--ros-args", *(word for text in (*assignments, *extra) for word in ("-p", text))]


class NodeProcess:
    """Starts the node on entering and ends it on leaving; Ctrl-C in the terminal does not reach it.

    It ends with this process too, however that ends: its standard input is a pipe from here.
    """

    def __init__(self, options: NodeOptions, log: Path, environ: dict[str, str]) -> None:
        self.log = log
        self._command = [*module_command("distill_perception.replay.tied_node"), *options.arguments()]
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> NodeProcess:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        for number, patience_s in ((signal.SIGINT, 8.0), (signal.SIGTERM, 4.0), (signal.SIGKILL, 4.0)):
            try:
                if process.poll() is not None:
                    break
                process.send_signal(number)
                process.wait(patience_s)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):  # who will not wait: sooner, but in order
                continue
        if process.stdin:
            process.stdin.close()

    def check(self) -> None:
        """Raise ReplayError with the end of the node's log if the process has ended."""
        status = self._process.poll() if self._process else None
        if status is not None:
            raise ReplayError(f"the perception node ended (exit status {status}); {self.tail()}")

    def tail(self) -> str:
        """The end of the node's log, for an error message."""
        lines = self.log.read_text("utf8", "replace").splitlines()[-_TAIL_LINES:]
        body = "\n".join(f"  | {line}" for line in lines) if lines else "  | (it said nothing)"
        return f"its log ({self.log}) ends with:\n{body}"


def free_domain_id() -> int:
    """A ROS domain that nobody on this machine seems to use."""
    for domain_id in random.SystemRandom().sample(range(1, 101), 100):
        if is_domain_free(domain_id):
            return domain_id
    raise ReplayError(
        "no free ROS domain on this machine (all of 1 to 100 are in use); give one with --domain-id"
    )


def is_domain_free(domain_id: int) -> bool:
    """Whether nobody on this machine seems to use a ROS domain: its first discovery port can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain_id + 10))
        except OSError:
            return False
        return True
