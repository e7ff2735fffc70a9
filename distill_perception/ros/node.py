"""The node as a process: set the transport up, spin until a signal comes, leave with an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from ..dependencies import check_dependencies
from ..errors import PerceptionError, ros_is_missing
from .transport import use_large_messages

_POLL_S = 0.2  # a Python signal handler runs when the executor comes back from waiting
_SAME_WISH_S = 2.0  # signals that follow the first within it mean the same
_USAGE = """usage: perception_node [--ros-args -p NAME:=VALUE ... -r FROM:=TO ... --params-file FILE]

The perception node of distill_perception. Its parameters are those of ROS 2, for example
  ros2 run distill_perception perception_node --ros-args -p cameras:="['/camera/front/image_raw']"
and are listed in docs/robot.md and by `ros2 param list`; `distill-perception run` has options for most."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or an external shutdown.

    Args:
        args: command line, ``sys.argv`` when None; ROS arguments follow ``--ros-args``.

    Returns:
        0 after an orderly end, 1 when the node could not start, 2 when the arguments could not be read.
    """
    stopping = _catch_signals()
    try:
        check_dependencies("pydantic")
        use_large_messages()
        return _run(list(sys.argv if args is None else args), stopping)
    except PerceptionError as error:
        print(f"perception_node: {error}", file=sys.stderr)
        return 1


def _run(args: list[str], stopping: list[int]) -> int:
    try:
        import rclpy
        from rclpy.executors import ExternalShutdownException
        from rclpy.signals import SignalHandlerOptions
        from rclpy.utilities import remove_ros_args

        from .lifecycle import PerceptionNode, RosLogHandler
        from .participant import check_domain, why_not_started
    except ImportError as error:
        raise ros_is_missing(error) from error
    check_domain()
    try:
        others = remove_ros_args(args)[1:]
        if {"-h", "--help"} & set(others):
            print(_USAGE)
            return 0
        if others:
            what = f"'{others[0]}' is no ROS argument; those follow --ros-args"
            print(f"perception_node: {what}\n{_USAGE}", file=sys.stderr)
            return 2
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = PerceptionNode(lambda: bool(stopping))
    except Exception as error:  # rclpy's argument errors share no public base class
        print(f"perception_node: cannot start: {why_not_started(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    logging.getLogger("distill_perception").addHandler(RosLogHandler(node))
    logging.getLogger("distill_perception").setLevel(logging.INFO)
    executor = make_executor()
    executor.add_node(node)
    code = 0
    try:
        if node.autostart and not node.start():
            code = 1
        while not code and not stopping and rclpy.ok():
            executor.spin_once(timeout_sec=_POLL_S)
    except (ExternalShutdownException, KeyboardInterrupt):
        pass
    finally:
        if stopping:
            name = signal.Signals(stopping[0]).name
            node.get_logger().info(
                f"{name}: shutting down; another signal, {_SAME_WISH_S:g} s later, ends the node at once"
            )
        node.stop()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return code


def make_executor(context: Any = None) -> Any:
    """rclpy's events executor where it has one (from Kilted on), which spends a third of the time per message
    that the other spends (benchmarks/node_overhead.py); `context` is rclpy's default if left out."""
    try:
        from rclpy.experimental import EventsExecutor

        return EventsExecutor(context=context)
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor

        return SingleThreadedExecutor(context=context)


def _catch_signals() -> list[int]:
    """Note SIGINT and SIGTERM in the returned list in place of dying of them; one that comes later kills.

    rclpy's own handlers would invalidate the context under the worker's feet. An engine that hangs lets no
    orderly end come. One wish to stop may arrive as several signals: from a service manager and from
    `ros2 launch`, which it has told too.
    """
    caught: list[int] = []
    first_s = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal first_s
        now_s = time.monotonic()
        if not caught:
            first_s = now_s
        elif now_s - first_s > _SAME_WISH_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        caught.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return caught


if __name__ == "__main__":
    sys.exit(main())
