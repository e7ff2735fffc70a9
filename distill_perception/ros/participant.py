"""A process's own node beside the perception node: to listen, to send, to ask."""

from __future__ import annotations

import os

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import ConfigError, first_line
from .assignments import refused_by_ros

_LAST_DOMAIN = 232  # the ports of a higher one would lie above 65535


def check_domain() -> None:
    """Refuse a ROS_DOMAIN_ID with which the middleware would end the process in words of its own.

    Raises:
        ConfigError: it is too high.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "").strip()
    if text.isdecimal() and int(text) > _LAST_DOMAIN:
        raise ConfigError(f"ROS_DOMAIN_ID={text}: ROS domains are 0 to {_LAST_DOMAIN}; set one of these")


def why_not_started(error: Exception) -> str:
    """What rclpy says as it does not start, in words."""
    if type(error).__name__ == "UnknownROSArgsError":  # which is not public
        return (
            f"{error} are no ROS arguments; those are like -r __ns:=/car, -p NAME:=VALUE, --log-level debug"
        )
    return refused_by_ros(error) or first_line(error)


def publishers_of(node: Node, topic: str) -> list[str]:
    """Names of the nodes that publish a topic, with their namespaces; two may have one name."""
    found = node.get_publishers_info_by_topic(topic)
    return [f"{item.node_namespace}/{item.node_name}".strip("/") for item in found]


class Participant:
    """A node in a context of its own, which leaves signals alone, and the executor that spins it.

    Args:
        name: the node's.
        domain_id: ROS domain; None for the environment's.

    Raises:
        ConfigError: ROS does not start, with this ROS_DOMAIN_ID for instance.
    """

    def __init__(self, name: str, domain_id: int | None = None) -> None:
        if domain_id is None:
            check_domain()
        self._context = Context()
        try:
            rclpy.init(
                args=[],  # else those of the command, of which rcl takes `-p name:=value` for a remapping
                context=self._context,
                domain_id=domain_id,
                signal_handler_options=SignalHandlerOptions.NO,
            )
            self.node = Node(name, context=self._context, enable_rosout=False, start_parameter_services=False)
        except RuntimeError as error:  # rclpy's RCLError, which is not public, is one
            rclpy.try_shutdown(context=self._context)
            raise ConfigError(
                f"ROS 2 does not start: {first_line(error)}; check ROS_DOMAIN_ID, RMW_IMPLEMENTATION "
                "and the transport profile"
            ) from error
        self.executor = SingleThreadedExecutor(context=self._context)
        self.executor.add_node(self.node)

    def close(self) -> None:
        """Leave ROS."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
