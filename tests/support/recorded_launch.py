"""Stand-ins for `launch` and `launch_ros` where these are not installed: they record what is made of them.

Only the names below exist, with the parameters that the real ones require or take, so that a misspelt name or
keyword in a launch file fails here too.
"""

import inspect
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Recorded:
    """An object that keeps its constructor's arguments as attributes."""

    signature: inspect.Signature

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        self.__dict__.update(bound.arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__})"


def _kind(name: str, template: Any) -> type[Recorded]:
    return type(name, (Recorded,), {"signature": inspect.signature(template)})


class LaunchContext:
    """Holds the launch configurations, as `ros2 launch` fills them from arguments and defaults."""

    def __init__(self, configurations: dict[str, str]) -> None:
        self.launch_configurations = configurations


class LaunchConfiguration:
    def __init__(self, variable_name: str) -> None:
        self.variable_name = variable_name

    def perform(self, context: LaunchContext) -> str:
        return context.launch_configurations[self.variable_name]


def _modules() -> dict[str, types.ModuleType]:
    names = {
        "launch": {
            "LaunchContext": LaunchContext,
            "Event": object,
            "EventHandler": _kind("EventHandler", lambda *, matcher, entities=None: None),
            "LaunchDescription": _kind("LaunchDescription", lambda initial_entities=(): None),
        },
        "launch.actions": {
            "DeclareLaunchArgument": _kind(
                "DeclareLaunchArgument", lambda name, *, default_value=None, description=None: None
            ),
            "OpaqueFunction": _kind("OpaqueFunction", lambda *, function, args=(), kwargs=None: None),
            "RegisterEventHandler": _kind("RegisterEventHandler", lambda event_handler: None),
            "EmitEvent": _kind("EmitEvent", lambda *, event: None),
            "ExecuteProcess": _kind(
                "ExecuteProcess",
                lambda *, cmd, output="log", on_exit=None, sigterm_timeout="5", sigkill_timeout="5": None,
            ),
            "LogInfo": _kind("LogInfo", lambda *, msg: None),
            "Shutdown": _kind("Shutdown", lambda *, reason="": None),
        },
        "launch.event_handlers": {
            "OnProcessStart": _kind("OnProcessStart", lambda *, target_action=None, on_start: None),
        },
        "launch.events": {"matches_action": lambda action: ("matches", action)},
        "launch.events.process": {
            "ShutdownProcess": _kind("ShutdownProcess", lambda *, process_matcher: None),
        },
        "launch.substitutions": {"LaunchConfiguration": LaunchConfiguration},
        "launch_ros": {},
        "launch_ros.actions": {
            "LifecycleNode": _kind(
                "LifecycleNode",
                lambda *, name, namespace, package, executable, output="log", parameters=(), arguments=(),
                respawn=False, respawn_delay=0.0: None,
            ),
        },
        "launch_ros.event_handlers": {
            "OnStateTransition": _kind(
                "OnStateTransition",
                lambda *, entities, target_lifecycle_node, start_state=None, goal_state=None: None,
            ),
        },
        "launch_ros.events": {},
        "launch_ros.events.lifecycle": {
            "ChangeState": _kind("ChangeState", lambda *, lifecycle_node_matcher, transition_id: None),
            "StateTransition": _kind("StateTransition", lambda *, action, start_state, goal_state: None),
        },
        "launch_ros.parameter_descriptions": {
            "ParameterValue": _kind("ParameterValue", lambda value, *, value_type=None: None),
        },
    }  # fmt: skip
    modules = {name: types.ModuleType(name) for name in names}
    for name, members in names.items():
        modules[name].__dict__.update(members)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, modules[name])
    return modules


@contextmanager
def recorded_launch() -> Iterator[None]:
    """Put the stand-ins where `import launch` and `import launch_ros` find them."""
    modules = _modules()
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
