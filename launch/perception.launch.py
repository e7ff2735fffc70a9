"""Start the perception node and bring it up through its lifecycle.

ros2 launch distill_perception perception.launch.py cameras:="['/camera/front/image_raw']"
"""

import os

import launch
import launch.actions
import launch.event_handlers
import launch.events
import launch.events.process
import launch.substitutions
import launch_ros.actions
import launch_ros.event_handlers
import launch_ros.events.lifecycle
import launch_ros.parameter_descriptions
import lifecycle_msgs.msg
import yaml

from distill_perception.ros.parameters import BY_NAME, ParameterSpec
from distill_perception.ros.transport import use_large_messages
from distill_perception.share import share_path

# The node's own; where one is empty, the parameter file's value or the default holds.
PARAMETERS = {name: spec for name, spec in BY_NAME.items() if name != "autostart"}
ARGUMENTS = {
    **{
        name: ("", f"{spec.description}{f' ({spec.constraint})' if spec.constraint else ''}")
        for name, spec in PARAMETERS.items()
    },
    "params_file": (str(share_path("config", "perception.yaml")), "file of node parameters"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "respawn": ("false", "start the node again when it dies"),
    "autostart": (
        "true",
        "configure and activate the node; false leaves that to a lifecycle manager; holds over params_file",
    ),
    "namespace": ("", "namespace of the node"),
    "use_sim_time": (
        "",
        "true: time is /clock's, as of `ros2 bag play --clock`; empty: what the parameter file says",
    ),
}


def generate_launch_description() -> launch.LaunchDescription:
    """Return the launch description that `ros2 launch` runs."""
    use_large_messages()  # inherited by every process that this launch starts, cameras included
    declared = [
        launch.actions.DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return launch.LaunchDescription([*declared, launch.actions.OpaqueFunction(function=_node_and_events)])


def _node_and_events(context: launch.LaunchContext) -> list:
    value = {name: launch.substitutions.LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {name: _parameter(spec, value[name]) for name, spec in PARAMETERS.items() if value[name]}
    if value["use_sim_time"]:
        overrides["use_sim_time"] = _switch("use_sim_time", value["use_sim_time"])
    autostart, respawn = (_switch(name, value[name]) for name in ("autostart", "respawn"))
    params_file = os.path.expanduser(value["params_file"])
    if not os.path.isfile(params_file):  # launch would start the node without it
        raise ValueError(f"params_file:={params_file}: no such file; give a YAML file of node parameters")
    node = launch_ros.actions.LifecycleNode(
        package="distill_perception",
        executable="perception_node",
        name="perception",
        namespace=value["namespace"],
        output="screen",
        # The launch events below drive the node. One that is started again drives itself: for seconds DDS
        # believes its dead predecessor alive, to whose service launch's request would go.
        parameters=[
            params_file,
            {**overrides, "autostart": autostart and respawn},
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        respawn=respawn,
        respawn_delay=2.0,
    )
    return [*(_bring_up(node) if autostart and not respawn else []), node]


def _parameter(spec: ParameterSpec, text: str) -> object:
    """The text as a value of the parameter's type, where it is one; the node says what it takes otherwise."""
    if isinstance(spec.default, tuple):
        return _topics(text)
    if isinstance(spec.default, str):  # as it is: plain text is read as YAML, a bundle 20261127 as int
        return launch_ros.parameter_descriptions.ParameterValue(text, value_type=str)
    value = yaml.safe_load(text)
    return float(value) if isinstance(spec.default, float) and type(value) is int else value


def _topics(text: str) -> list:
    """One topic, or a YAML list of them: `/camera/image_raw`, `['/front/image_raw', '/rear/image_raw']`."""
    found = yaml.safe_load(text)
    topics = [found] if isinstance(found, str) else found
    if not (isinstance(topics, list) and topics and all(isinstance(topic, str) for topic in topics)):
        raise ValueError(f"cameras:={text} is not a list of topics; write cameras:=\"['/camera/image_raw']\"")
    return topics


def _bring_up(node: launch_ros.actions.LifecycleNode) -> list:
    """Configure the node whenever it has started, and activate it whenever it is configured.

    A node that does not come up ends, as it does without launch; what else was launched goes on.
    """
    change = lifecycle_msgs.msg.Transition
    coming_up = set()  # holds the node from its start until it is active; later failures are its operator's

    def fails(event: launch.Event) -> bool:
        return (
            isinstance(event, launch_ros.events.lifecycle.StateTransition)
            and event.action in coming_up
            and (event.start_state, event.goal_state)
            in {("configuring", "unconfigured"), ("activating", "inactive")}
        )

    def on_transition(
        start: str, goal: str, *entities: object
    ) -> launch_ros.event_handlers.OnStateTransition:
        return launch_ros.event_handlers.OnStateTransition(
            target_lifecycle_node=node, start_state=start, goal_state=goal, entities=list(entities)
        )

    begin = launch.actions.OpaqueFunction(function=lambda _: coming_up.add(node))
    done = launch.actions.OpaqueFunction(function=lambda _: coming_up.discard(node))
    end = launch.events.process.ShutdownProcess(process_matcher=launch.events.matches_action(node))
    handlers = [
        launch.event_handlers.OnProcessStart(
            target_action=node, on_start=[begin, _change_state(node, change.TRANSITION_CONFIGURE)]
        ),
        on_transition("configuring", "inactive", _change_state(node, change.TRANSITION_ACTIVATE)),
        on_transition("activating", "active", done),
        launch.EventHandler(
            matcher=fails,
            entities=[
                launch.actions.LogInfo(msg="perception could not be started: its error is above; it ends"),
                launch.actions.EmitEvent(event=end),
            ],
        ),
    ]
    return [launch.actions.RegisterEventHandler(handler) for handler in handlers]


def _change_state(node: launch_ros.actions.LifecycleNode, transition: int) -> launch.actions.EmitEvent:
    return launch.actions.EmitEvent(
        event=launch_ros.events.lifecycle.ChangeState(
            lifecycle_node_matcher=launch.events.matches_action(node), transition_id=transition
        )
    )


def _switch(name: str, text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if value is None:
        raise ValueError(f"{name}:={text}: write true or false")
    return value
