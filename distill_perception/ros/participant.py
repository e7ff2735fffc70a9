"""A process's own node beside the perception node: to listen, to send, to ask."""

from __future__ import annotations

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..errors import ConfigError, first_line


class Participant:
    """A node in a context of its own, which leaves signals alone, and the executor that spins it.

    Args:
        name: the node's.
        domain_id: ROS domain; None for the environment's.

    Raises:
        ConfigError: ROS does not start, with this ROS_DOMAIN_ID for instance.
    """

    def __init__(self, name: str, domain_id: int | None = None) -> None:
        self._context = Context()
        try:
            rclpy.init(
                context=self._context, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO
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
