"""A command's own node, and what it says where ROS does not start."""

import subprocess
import sys

import pytest

from distill_perception.errors import ConfigError
from distill_perception.ros.participant import Participant
from tests.support.environ import with_checkout


def test_the_commands_own_arguments_are_not_ros_arguments(
    domain: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["distill-perception", "replay", "bag", "-p", "engine:=openvino"])
    ros = Participant("replay", domain)
    try:
        assert ros.node.resolve_topic_name("engine") == "/engine"
    finally:
        ros.close()
    assert capfd.readouterr().err == ""


def test_a_domain_that_is_too_high_is_refused_with_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "233")
    with pytest.raises(ConfigError, match="ROS_DOMAIN_ID=233: ROS domains are 0 to 232"):
        Participant("record")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x:=[1", "parameter 'x': '[1' is not valid YAML"),
        (
            "perception:x:=[1, a]",
            "parameter 'x' cannot be '[1, a]': values are a bool, a number, a text, or a ",
        ),
        ("x:={a: 1}", "parameter 'x' cannot be '{a: 1}': values are a bool, "),
        ("a-b:=1", "'a-b:=1' is not NAME:=VALUE, as in score_threshold:=0.5"),
    ],
)
def test_a_parameter_that_ros_does_not_read_ends_the_node_in_our_words(text: str, words: str) -> None:
    line = [sys.executable, "-m", "distill_perception.ros.node", "--ros-args", "-p", text]
    environ = with_checkout(ROS_DOMAIN_ID="1")
    done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    *others, said = done.stderr.splitlines()
    assert said.startswith(f"perception_node: cannot start: {words}")
    assert "arguments.c" not in done.stderr
    assert all("[rcl]" in other for other in others)  # rcl logs that it has failed, not at what


@pytest.mark.parametrize(
    ("domain_id", "arguments", "words"),
    [
        ("300", [], "ROS_DOMAIN_ID=300: ROS domains are 0 to 232"),
        ("1", ["--", "garbage"], "cannot start: ['garbage'] are no ROS arguments; those are like -r __ns:="),
    ],
)
def test_the_node_says_so_too(domain_id: str, arguments: list[str], words: str) -> None:
    line = [sys.executable, "-m", "distill_perception.cli", "run", *arguments]
    environ = with_checkout(ROS_DOMAIN_ID=domain_id)
    done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"perception_node: {words}")
    assert len(done.stderr.splitlines()) == 1
