"""The launch files, run by the real `launch` where it is installed."""

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image

from tests.support.environ import ROOT
from tests.support.ros_process import RELIABLE, CameraClient, Client, environment, image_message, wait_until

# The repository's own launch/ folder is found as a namespace package; the real one has a file.
SPEC = importlib.util.find_spec("launch")
pytestmark = pytest.mark.skipif(
    SPEC is None or SPEC.origin is None,
    reason="ROS 2's launch is not installed (no apt ROS 2): test_launch.py only evaluates the launch files",
)
RAW = "/cam/image_raw"

# As `ros2 launch FILE NAME:=VALUE ...` without a terminal.
LAUNCH = """
import sys, launch, launch.launch_description_sources as sources
service = launch.LaunchService(noninteractive=True)
source = sources.PythonLaunchDescriptionSource(sys.argv[1])
arguments = [word.split(":=", 1) for word in sys.argv[2:]]
include = launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments)
service.include_launch_description(launch.LaunchDescription([include]))
sys.exit(service.run())
"""


class Launched:
    """A running launch; its output goes to a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log.count(text) >= times, 30.0, f"{text!r} in:\n{self.log}")


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An ament prefix in which launch finds this checkout's node."""
    prefix = tmp_path / "prefix"
    script = prefix / "lib" / "distill_perception" / "perception_node"
    marker = prefix / "share" / "ament_index" / "resource_index" / "packages" / "distill_perception"
    for file in (script, marker):
        file.parent.mkdir(parents=True)
    marker.touch()
    (prefix / "share" / "distill_perception").symlink_to(ROOT)
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m distill_perception.ros.node "$@"\n')
    script.chmod(0o755)
    return prefix


@contextmanager
def launched(domain: int, prefix: Path, name: str, **arguments: str) -> Iterator[Launched]:
    log = prefix.parent / "launch.log"
    environ = environment(domain)
    environ["AMENT_PREFIX_PATH"] = ":".join(filter(None, [str(prefix), environ.get("AMENT_PREFIX_PATH")]))
    words = [f"{key}:={value}" for key, value in arguments.items()]
    line = [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / f"{name}.launch.py"), *words]
    with log.open("w") as output:
        process = subprocess.Popen(
            line, stdout=output, stderr=subprocess.STDOUT, env=environ, cwd=prefix.parent
        )
    try:
        yield Launched(process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def receives_a_mask(client: Client) -> bool:
    masks: list[Image] = []
    client.node.create_subscription(Image, "/cam/perception/mask", masks.append, RELIABLE)
    camera = CameraClient(client, RAW)

    def sent() -> bool:
        camera.send(image_message(np.zeros((96, 128, 3), np.uint8)))
        return bool(masks)

    return wait_until(sent, 20.0, "a mask")


def test_launch_brings_the_node_up_and_it_answers(
    domain: int, client: Client, tiny_bundle: Path, prefix: Path
) -> None:
    with launched(domain, prefix, "perception", bundle=str(tiny_bundle), cameras=RAW) as running:
        running.wait_for(f"active: {RAW}")
        assert receives_a_mask(client)
    assert running.process.returncode == 0
    assert "final counters of /cam/image_raw" in running.log
    assert "Traceback" not in running.log


def test_a_killed_node_comes_back_with_respawn(
    domain: int, client: Client, tiny_bundle: Path, prefix: Path
) -> None:
    arguments = {"bundle": str(tiny_bundle), "cameras": RAW, "respawn": "true"}
    with launched(domain, prefix, "perception", **arguments) as running:
        running.wait_for(f"active: {RAW}")
        subprocess.run(["pkill", "-KILL", "-P", str(running.process.pid)], check=True, timeout=30)
        running.wait_for(f"active: {RAW}", times=2)
        assert receives_a_mask(client)


@pytest.mark.parametrize("name", ["typo", "20261127"])  # the second is a number to YAML
def test_a_node_that_cannot_start_ends_the_launch_of_it_alone(domain: int, prefix: Path, name: str) -> None:
    with launched(domain, prefix, "perception", bundle=name) as running:
        running.process.wait(30)
    assert f"cannot configure: bundle '{name}': no such folder" in running.log
    assert "its error is above; it ends" in running.log
    assert "Traceback" not in running.log


def test_a_replay_that_fails_fails_the_launch(domain: int, prefix: Path) -> None:
    with launched(domain, prefix, "replay", bag="/nowhere") as running:
        assert running.process.wait(30) == 1
    assert "/nowhere: no such bag" in running.log
