"""The node's parameters: one table, from which they are declared, checked, documented and read.

Adding a parameter is one line in ``PARAMETERS`` and one field in ``Settings``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

from ..errors import ConfigError
from ..markdown import markdown_table

if TYPE_CHECKING:
    from rclpy.node import Node

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter; the default gives its type, `at_run_time` says whether it may change while running."""

    name: str
    default: Value
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    at_run_time: bool = False

    @property
    def type_name(self) -> str:
        names = {bool: "bool", int: "int", float: "float", str: "string", tuple: "list of strings"}
        return names[type(self.default)]

    @property
    def constraint(self) -> str:
        """What a value must satisfy, in words; empty when anything of the type will do."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.limits:
            return f"{self.limits[0]:g} to {self.limits[1]:g}"
        return ""


@dataclass(frozen=True)
class Settings:
    """The node's parameters as read when it is configured."""

    bundle: str
    engine: str
    precision: str
    device: str
    threads: int
    warm_up: int
    cameras: tuple[str, ...]
    qos_reliability: str
    qos_depth: int
    max_age_ms: float
    score_threshold: float
    mask_resolution: str
    autostart: bool


PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "bundle", "camvid_lite0", "model bundle: the name of a shipped one, or a path to its folder"
    ),
    ParameterSpec(
        "engine", "auto", "inference engine", choices=("auto", "tensorrt", "onnxruntime", "openvino")
    ),
    ParameterSpec(
        "precision",
        "auto",
        "which of the bundle's model files to run, e.g. fp32 or int8; auto takes the fastest on the device",
    ),
    ParameterSpec(
        "device",
        "auto",
        "device of the engine, e.g. cpu or cuda:0; auto takes a GPU where an engine can use it, else the CPU",
    ),
    ParameterSpec("threads", 0, "CPU threads of the engine; 0 lets the engine choose", limits=(0, 256)),
    ParameterSpec(
        "warm_up", 1, "runs of the engine before the first frame, for each number of cameras", limits=(0, 100)
    ),
    ParameterSpec(
        "cameras",
        ("/camera/image_raw",),
        "image topics (sensor_msgs/Image; names ending in /compressed: sensor_msgs/CompressedImage)",
    ),
    ParameterSpec(
        "qos_reliability",
        "best_effort",
        "reliability asked of the cameras; best_effort also receives from reliable publishers",
        choices=("best_effort", "reliable", "system_default"),
    ),
    ParameterSpec("qos_depth", 10, "frames the middleware may hold for each camera", limits=(1, 100)),
    ParameterSpec(
        "max_age_ms",
        500.0,
        "frames older than this when their turn comes are dropped and counted; 0 keeps all",
        limits=(0.0, 600_000.0),
        at_run_time=True,
    ),
    ParameterSpec(
        "score_threshold",
        0.3,
        "detections below this score are not published",
        limits=(0.0, 1.0),
        at_run_time=True,
    ),
    ParameterSpec(
        "mask_resolution",
        "camera",
        "size of the published mask: the camera image's or the model's",
        choices=("camera", "model"),
        at_run_time=True,
    ),
    ParameterSpec("autostart", True, "configure and activate without waiting for a lifecycle manager"),
)
BY_NAME = {spec.name: spec for spec in PARAMETERS}


def problem_with(spec: ParameterSpec, value: Any) -> str | None:
    """Say what is wrong with a value, or None when it will do. Whole numbers pass for floats."""
    if value is None:  # what rclpy makes of an empty list, too
        return f"parameter '{spec.name}' is empty: give it a value of type {spec.type_name}"
    wanted = type(spec.default)
    if wanted is tuple:
        right_type = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    elif wanted is float:
        right_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        right_type = type(value) is wanted
    if not right_type:
        return f"parameter '{spec.name}' must be of type {spec.type_name}, not {value!r}"
    outside = spec.limits is not None and not spec.limits[0] <= value <= spec.limits[1]
    if outside or (spec.choices and value not in spec.choices):
        return f"parameter '{spec.name}' must be {spec.constraint}, not {value!r}"
    return None


def descriptor_of(spec: ParameterSpec) -> ParameterDescriptor:
    """The descriptor that ``ros2 param describe`` and rqt show."""
    descriptor = ParameterDescriptor(
        name=spec.name,
        description=spec.description + (" (can change while running)" if spec.at_run_time else ""),
        additional_constraints=spec.constraint,
    )
    if spec.limits and isinstance(spec.default, float):
        low, high = spec.limits
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif spec.limits:
        first, last = (int(limit) for limit in spec.limits)
        descriptor.integer_range = [IntegerRange(from_value=first, to_value=last, step=1)]
    return descriptor


# Of topics that rclpy makes for every node by itself.
_EVERY_NODES = ("qos_overrides./clock.", "qos_overrides./parameter_events.", "qos_overrides./rosout.")


def declare(node: Node) -> dict[str, str]:
    """Declare every parameter of the table.

    A start-up value that cannot be used is left out: the node comes up and can say why it will not configure.
    A name that is nearly one of the table's is taken for a mistake. Other unknown names are only logged: a
    file of parameters for every node (`/**`) may have them for others.

    Returns:
        the problem of each parameter whose start-up value or name was refused, by name.
    """
    problems: dict[str, str] = {}
    for spec in PARAMETERS:
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        descriptor = descriptor_of(spec)
        try:
            value = node.declare_parameter(spec.name, default, descriptor).value
            problem = problem_with(spec, value)
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            value = _override_of(node, spec.name)
            problem = problem_with(spec, value) or f"parameter '{spec.name}': {error}"
            if isinstance(spec.default, float) and type(value) is int and not problem_with(spec, value):
                default, problem = float(value), None  # `max_age_ms:=200` means 200.0
            if not node.has_parameter(spec.name):
                node.declare_parameter(spec.name, default, descriptor, ignore_override=True)
        if problem:
            problems[spec.name] = problem
    for name in node._parameter_overrides:
        if node.has_parameter(name) or name.startswith(_EVERY_NODES):
            continue
        if name.startswith("qos_overrides."):
            node.get_logger().warning(
                f"parameter '{name}' is not used: qos_reliability and qos_depth say how cameras are "
                "subscribed, results are reliable"
            )
        elif nearest := difflib.get_close_matches(name, BY_NAME, n=1, cutoff=0.75):
            problems[name] = f"parameter '{name}' is not known: did you mean '{nearest[0]}'?"
        else:
            node.get_logger().warning(f"parameter '{name}' is not known and not used")
    return problems


def _override_of(node: Node, name: str) -> Any:
    override = node._parameter_overrides.get(name)
    return None if override is None else override.value


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Read the parameters' values.

    Raises:
        ConfigError: naming every value that cannot be used.
    """
    problems = [text for spec in PARAMETERS if (text := problem_with(spec, values[spec.name]))]
    if problems:
        raise ConfigError("; ".join(problems))
    known: dict[str, Any] = {spec.name: _as_field(values[spec.name], spec.name) for spec in PARAMETERS}
    return Settings(**known)


def _as_field(value: Any, name: str) -> Any:
    default = BY_NAME[name].default
    if isinstance(default, tuple):
        return tuple(value)
    return float(value) if isinstance(default, float) else value


def read(node: Node) -> Settings:
    """Read the declared parameters of a node; see ``settings_from``."""
    return settings_from({spec.name: node.get_parameter(spec.name).value for spec in PARAMETERS})


def refusal(name: str, value: Any, configured: bool) -> str | None:
    """Why a parameter may not be changed to this value now, or None when it may.

    Args:
        name: parameter name; those outside the table (``use_sim_time``) are not judged.
        value: the new value.
        configured: whether the node has read its settings (states inactive and active).
    """
    spec = BY_NAME.get(name)
    if spec is None:
        return None
    if configured and not spec.at_run_time:
        return (
            f"parameter '{name}' is read when the node configures: deactivate and clean it up first "
            "(`ros2 lifecycle set /perception deactivate`, then cleanup), or restart it with the new value"
        )
    return problem_with(spec, value)


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings after a change that ``refusal`` has let pass."""
    known: dict[str, Any] = {
        name: _as_field(value, name) for name, value in changes.items() if name in BY_NAME
    }
    return replace(settings, **known)


def parameter_table() -> str:
    """The table of parameters in docs/robot.md."""
    header = ["parameter", "type", "default", "allowed", "at run time", "meaning"]
    rows = []
    for spec in PARAMETERS:
        default = ", ".join(spec.default) if isinstance(spec.default, tuple) else spec.default
        changes = "yes" if spec.at_run_time else "no"
        words = (f"`{spec.name}`", spec.type_name, f"`{default}`", spec.constraint or "any", changes)
        rows.append([*words, spec.description])
    return markdown_table(header, rows, left=len(header)) + "\n"
