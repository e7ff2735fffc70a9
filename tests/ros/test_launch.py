"""Launch files: run by the real `launch` where it is installed, else against recording stand-ins."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition

from distill_perception.ros.parameters import BY_NAME, problem_with
from distill_perception.ros.transport import VARIABLE
from tests.support.recorded_launch import recorded_launch
from tests.support.ros_process import environment, random_domain

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
# The repository's own launch/ folder is found as a namespace package; the real one has a file.
LAUNCH_SPEC = importlib.util.find_spec("launch")
HAVE_LAUNCH = LAUNCH_SPEC is not None and LAUNCH_SPEC.origin is not None


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
    started, configured = (item.event_handler for item in of_kind(entities, "RegisterEventHandler"))
    assert started.target_action is node
    assert started.on_start[0].event.transition_id == Transition.TRANSITION_CONFIGURE
    assert (configured.start_state, configured.goal_state) == ("configuring", "inactive")
    assert configured.target_lifecycle_node is node
    assert configured.entities[0].event.transition_id == Transition.TRANSITION_ACTIVATE
    # The handlers must be there before the process whose start they wait for.
    assert entities.index(node) == len(entities) - 1
    assert node.parameters[-1] == {"autostart": False}
    assert Path(node.parameters[0]).samefile(ROOT / "config" / "perception.yaml")


@pytest.mark.usefixtures("stand_ins")
def test_without_autostart_a_lifecycle_manager_is_left_in_charge() -> None:
    (node,) = perception_entities(autostart="false")
    assert node.parameters[-1]["autostart"] is False


@pytest.mark.usefixtures("stand_ins")
def test_arguments_override_the_parameter_file() -> None:
    (node,) = of_kind(
        perception_entities(
            bundle="b", engine="openvino", cameras="['/a/image', '/b/image']", params_file="/p.yaml",
            log_level="debug", respawn="true", namespace="car",
        ),
        "LifecycleNode",
    )  # fmt: skip
    assert node.parameters == [
        "/p.yaml",
        {"bundle": "b", "engine": "openvino", "cameras": ["/a/image", "/b/image"], "autostart": False},
    ]
    assert (node.respawn, node.namespace) == (True, "car")
    assert node.arguments == ["--ros-args", "--log-level", "debug"]


@pytest.mark.usefixtures("stand_ins")
def test_every_parameter_of_the_node_is_an_argument_and_gets_its_type() -> None:
    given = {
        "precision": "fp32", "device": "cuda:0", "threads": "2", "qos_reliability": "reliable",
        "qos_depth": "5", "max_age_ms": "0", "score_threshold": "0.5", "mask_resolution": "model",
    }  # fmt: skip
    assert {*given, "bundle", "engine", "cameras", "autostart"} == set(BY_NAME)
    (node,) = of_kind(perception_entities(**given), "LifecycleNode")
    found = node.parameters[-1]
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
    with pytest.raises(ValueError, match="not a list of topics"):
        perception_entities(cameras="{a: 1}")


@pytest.mark.usefixtures("stand_ins")
def test_the_replay_ends_the_launch_when_it_ends() -> None:
    import launch

    entities = load(ROOT / "launch" / "replay.launch.py").generate_launch_description().initial_entities
    (process,) = of_kind(entities, "ExecuteProcess")
    context = launch.LaunchContext({"bag": "B", "bundle": "M", "out": "O", "rate": "2", "engine": "auto"})
    command = [part if isinstance(part, str) else part.perform(context) for part in process.cmd]
    assert command[1:] == [
        "-m", "distill_perception.cli", "replay", "B",
        "--bundle", "M", "--out", "O", "--rate", "2", "--engine", "auto",
    ]  # fmt: skip
    assert of_kind(process.on_exit, "Shutdown")
    help_text = subprocess.run(
        [*command[:4], "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert help_text.returncode == 0, help_text.stderr
    assert all(option in help_text.stdout for option in command if option.startswith("--"))


@pytest.mark.skipif(HAVE_LAUNCH, reason="the real launch runs below")
def test_the_stand_ins_refuse_what_the_real_ones_would() -> None:
    with recorded_launch():
        import launch_ros.actions

        with pytest.raises(TypeError):
            launch_ros.actions.LifecycleNode(name="a", package="b", executable="c")
        with pytest.raises(TypeError):
            launch_ros.actions.LifecycleNode(
                name="a", namespace="", package="b", executable="c", respwan=True
            )


@pytest.mark.skipif(
    not HAVE_LAUNCH, reason="ROS 2's launch is not installed (no apt ROS 2); see the tests above"
)
def test_the_real_launch_brings_the_node_up(tiny_bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    code = (
        "import sys, launch, launch.launch_description_sources as s, launch.actions as a\n"
        "service = launch.LaunchService()\n"
        "source = s.PythonLaunchDescriptionSource(sys.argv[1])\n"
        "arguments = {'bundle': sys.argv[2], 'cameras': '/cam/image_raw'}.items()\n"
        "include = a.IncludeLaunchDescription(source, launch_arguments=arguments)\n"
        "stop = a.TimerAction(period=15.0, actions=[a.Shutdown()])\n"
        "service.include_launch_description(launch.LaunchDescription([include, stop]))\n"
        "sys.exit(service.run())\n"
    )
    with log.open("w") as output:
        subprocess.run(
            [sys.executable, "-c", code, str(ROOT / "launch" / "perception.launch.py"), str(tiny_bundle)],
            stdout=output, stderr=subprocess.STDOUT, env=environment(random_domain()), timeout=60, check=True,
        )  # fmt: skip
    assert "active: /cam/image_raw" in log.read_text()
