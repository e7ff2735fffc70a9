"""What the launch files make, of recording stand-ins for `launch`; test_real_launch.py runs them."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition

from distill_perception.ros.parameters import BY_NAME, problem_with
from distill_perception.ros.transport import VARIABLE
from tests.support.environ import with_checkout
from tests.support.recorded_launch import recorded_launch

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))


def load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.name.replace(".", "_"), file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    with recorded_launch():
        yield


def of_kind(entities: list, kind: str) -> list:
    return [entity for entity in entities if type(entity).__name__ == kind]


def perception_entities(**arguments: str) -> list[Any]:
    """What perception.launch.py launches with these arguments."""
    import launch

    entities = load(ROOT / "launch" / "perception.launch.py").generate_launch_description().initial_entities
    defaults = {item.name: item.default_value for item in of_kind(entities, "DeclareLaunchArgument")}
    assert not set(arguments) - set(defaults)
    (opaque,) = of_kind(entities, "OpaqueFunction")
    return opaque.function(launch.LaunchContext({**defaults, **arguments}))


def plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as the node gets them."""
    texts = {name: value for name, value in parameters.items() if type(value).__name__ == "ParameterValue"}
    assert all(item.value_type is str for item in texts.values())
    assert not any(isinstance(value, str) for value in parameters.values())  # launch would read it as YAML
    return parameters | {name: item.value for name, item in texts.items()}


def test_there_are_two_launch_files() -> None:
    assert [file.name for file in LAUNCH_FILES] == ["perception.launch.py", "replay.launch.py"]


@pytest.mark.usefixtures("stand_ins")
def test_every_argument_is_declared_with_a_description() -> None:
    for file in LAUNCH_FILES:
        arguments = of_kind(
            load(file).generate_launch_description().initial_entities, "DeclareLaunchArgument"
        )
        assert {"bundle", "engine"} <= {item.name for item in arguments}
        assert all(item.description for item in arguments)


@pytest.mark.usefixtures("stand_ins")
def test_launching_sets_the_transport_up_for_every_process() -> None:
    load(ROOT / "launch" / "perception.launch.py").generate_launch_description()
    assert Path(os.environ[VARIABLE]).samefile(ROOT / "config" / "fastdds.xml")
    os.environ[VARIABLE] = "/etc/dds.xml"
    load(ROOT / "launch" / "perception.launch.py").generate_launch_description()
    assert os.environ[VARIABLE] == "/etc/dds.xml"


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(("given", "expected"), [("", None), ("true", True), ("false", False)])
def test_simulated_time_reaches_the_node_where_it_is_asked_for(given: str, expected: bool | None) -> None:
    (node,) = of_kind(perception_entities(use_sim_time=given), "LifecycleNode")
    assert node.parameters[-1].get("use_sim_time") is expected


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"autostart": "ture"}, "autostart:=ture: write true or false"),
        ({"respawn": "y"}, "respawn:=y: write true or false"),
        ({"use_sim_time": "enabled"}, "use_sim_time:=enabled: write true or false"),
        ({"params_file": "/nowhere/mine.yaml"}, "params_file:=/nowhere/mine.yaml: no such file"),
    ],
)
def test_a_misspelt_argument_ends_the_launch(arguments: dict[str, str], said: str) -> None:
    """Where it would start a node that stays unconfigured, or one with defaults."""
    with pytest.raises(ValueError, match=said):
        perception_entities(**arguments)


@pytest.mark.usefixtures("stand_ins")
def test_an_interrupted_replay_has_time_to_write_its_report() -> None:
    entities = load(ROOT / "launch" / "replay.launch.py").generate_launch_description().initial_entities
    (replay,) = of_kind(entities, "ExecuteProcess")
    assert float(replay.sigterm_timeout) >= 60  # launch's own is 5


@pytest.mark.usefixtures("stand_ins")
def test_the_node_is_configured_when_started_and_activated_when_configured() -> None:
    entities = perception_entities()
    (node,) = of_kind(entities, "LifecycleNode")
    assert (node.package, node.executable, node.name) == (
        "distill_perception",
        "perception_node",
        "perception",
    )
    started, configured, _, _ = (item.event_handler for item in of_kind(entities, "RegisterEventHandler"))
    assert started.target_action is node
    assert started.on_start[-1].event.transition_id == Transition.TRANSITION_CONFIGURE
    assert (configured.start_state, configured.goal_state) == ("configuring", "inactive")
    assert configured.target_lifecycle_node is node
    assert configured.entities[0].event.transition_id == Transition.TRANSITION_ACTIVATE
    # The handlers must be there before the process whose start they wait for.
    assert entities.index(node) == len(entities) - 1
    assert node.parameters[-1] == {"autostart": False}
    assert Path(node.parameters[0]).samefile(ROOT / "config" / "perception.yaml")


@pytest.mark.usefixtures("stand_ins")
def test_a_node_that_cannot_be_brought_up_is_ended_but_not_one_that_an_operator_takes_down_later() -> None:
    from launch_ros.events.lifecycle import StateTransition

    entities = perception_entities()
    (node,) = of_kind(entities, "LifecycleNode")
    started, _, activated, failed = (item.event_handler for item in of_kind(entities, "RegisterEventHandler"))
    refused = StateTransition(action=node, start_state="configuring", goal_state="unconfigured")
    assert not failed.matcher(refused)
    started.on_start[0].function(None)
    assert failed.matcher(refused)
    assert not failed.matcher(StateTransition(action=node, start_state="configuring", goal_state="inactive"))
    assert not failed.matcher(
        StateTransition(action="other", start_state="configuring", goal_state="unconfigured")
    )
    activated.entities[0].function(None)
    assert not failed.matcher(refused)
    assert failed.entities[-1].event.process_matcher == ("matches", node)


@pytest.mark.usefixtures("stand_ins")
def test_without_autostart_a_lifecycle_manager_is_left_in_charge() -> None:
    (node,) = perception_entities(autostart="false")
    assert node.parameters[-1]["autostart"] is False


@pytest.mark.usefixtures("stand_ins")
def test_arguments_override_the_parameter_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {}}")
    (node,) = of_kind(
        perception_entities(
            bundle="b", engine="openvino", cameras="['/a/image', '/b/image']", params_file="~/p.yaml",
            log_level="debug", respawn="true", namespace="car",
        ),
        "LifecycleNode",
    )  # fmt: skip
    file, found = node.parameters
    assert file == str(tmp_path / "p.yaml")
    assert plain(found) == {
        "bundle": "b", "engine": "openvino", "cameras": ["/a/image", "/b/image"], "autostart": True
    }  # fmt: skip
    assert (node.respawn, node.namespace) == (True, "car")
    assert node.arguments == ["--ros-args", "--log-level", "debug"]


@pytest.mark.usefixtures("stand_ins")
def test_every_parameter_of_the_node_is_an_argument_and_gets_its_type() -> None:
    given = {
        "precision": "fp32", "device": "cuda:0", "threads": "2", "warm_up": "0",
        "qos_reliability": "reliable", "qos_depth": "5", "max_age_ms": "0",
        "score_threshold": "0.5", "mask_resolution": "model",
    }  # fmt: skip
    assert {*given, "bundle", "engine", "cameras", "autostart"} == set(BY_NAME)
    (node,) = of_kind(perception_entities(**given), "LifecycleNode")
    found = plain(node.parameters[-1])
    assert found.pop("autostart") is False
    assert found.keys() == given.keys()
    for name, value in found.items():
        assert problem_with(BY_NAME[name], value) is None
        assert type(value) is type(BY_NAME[name].default)  # rclcpp and rclpy tell 0 from 0.0
    assert (found["device"], found["max_age_ms"], found["threads"]) == ("cuda:0", 0.0, 2)
    (node,) = of_kind(perception_entities(threads="many"), "LifecycleNode")
    assert "threads" in problem_with(BY_NAME["threads"], node.parameters[-1]["threads"])


@pytest.mark.usefixtures("stand_ins")
def test_one_camera_needs_no_list_and_nonsense_is_refused() -> None:
    (node,) = of_kind(perception_entities(cameras="/a/image"), "LifecycleNode")
    assert node.parameters[-1]["cameras"] == ["/a/image"]
    for nonsense in ("{a: 1}", "[]", "[1]"):
        with pytest.raises(ValueError, match="not a list of topics"):
            perception_entities(cameras=nonsense)


@pytest.mark.usefixtures("stand_ins")
def test_the_replay_ends_the_launch_when_it_ends(tmp_path: Path) -> None:
    import launch

    entities = load(ROOT / "launch" / "replay.launch.py").generate_launch_description().initial_entities
    (process,) = of_kind(entities, "ExecuteProcess")
    context = launch.LaunchContext({"bag": "B", "bundle": "M", "out": "O", "rate": "2", "engine": "auto"})
    command = [part if isinstance(part, str) else part.perform(context) for part in process.cmd]
    assert command[command.index("distill_perception.cli") :] == [
        "distill_perception.cli", "replay", "B",
        "--bundle", "M", "--out", "O", "--rate", "2", "--engine", "auto",
    ]  # fmt: skip
    end = SimpleNamespace(returncode=0)
    assert of_kind([process.on_exit(end, context)], "Shutdown")
    end.returncode = 2
    with pytest.raises(RuntimeError, match="exit code 2"):  # the only way to let `ros2 launch` fail
        process.on_exit(end, context)
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the user')")
    help_text = subprocess.run(
        [*command[: command.index("B")], "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=with_checkout(COLUMNS="200"),
    )
    assert help_text.returncode == 0, help_text.stderr
    assert all(option in help_text.stdout for option in command if option.startswith("--"))
