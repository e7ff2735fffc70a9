"""The middleware's environment, and who is heard by whom."""

import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from distill_perception.replay.private_transport import private_environment
from distill_perception.ros.transport import VARIABLE, remedy, use_large_messages
from distill_perception.share import share_path
from tests.support.environ import with_checkout
from tests.support.ros_process import ROOT, Client, own_domain, wait_until

SHIPPED = str(share_path("config", "fastdds.xml"))
CHOICES = ("FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
RAW = "/cam/image_raw"


def test_an_untouched_environment_gets_the_shipped_profile() -> None:
    env: dict[str, str] = {}
    assert use_large_messages(env)
    assert env == {VARIABLE: SHIPPED}
    assert use_large_messages(env), "what a launch file has set is not taken for the user's choice"


@pytest.mark.parametrize(
    "chosen",
    [
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/etc/dds.xml"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/etc/dds.xml"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_the_users_choice_is_left_alone(chosen: dict[str, str]) -> None:
    env = dict(chosen)
    assert not use_large_messages(env)
    assert env == chosen


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, f"start the camera's process with {VARIABLE}={SHIPPED}"),
        ({VARIABLE: SHIPPED, "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, f"{VARIABLE}={SHIPPED}"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, "your own choosing (FASTDDS_BUILTIN_TRANSPORTS=UDPv4)"),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, "what rmw_cyclonedds_cpp wants for large images"),
    ],
)
def test_the_remedy_is_for_the_middleware_and_transports_in_use(environ: dict[str, str], said: str) -> None:
    assert said in remedy(environ)
    assert ("Fast DDS" in remedy(environ)) == (said.endswith(SHIPPED))


def test_fast_dds_named_by_the_user_is_set_up() -> None:
    env = {"RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp"}
    assert use_large_messages(env)


def test_a_replays_profile_is_the_shipped_one_kept_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)
    names = "{http://www.eprosima.com}"
    with private_environment(7) as environ:
        profile = ElementTree.parse(environ[VARIABLE])
    (address,) = profile.iter(f"{names}address")
    assert address.text == "127.0.0.1"
    tags = [item.tag for item in profile.iter() if not item.tag.endswith(("}address", "}interfaceWhiteList"))]
    assert tags == [item.tag for item in ElementTree.parse(SHIPPED).iter()]


def plain_environment(domain: int, **more: str) -> dict[str, str]:
    """A terminal in which nobody has thought of transports."""
    own = {"ROS_DOMAIN_ID": str(domain), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    return {name: value for name, value in with_checkout().items() if name not in CHOICES} | own | more


@contextmanager
def running(log: Path, env: dict[str, str], *words: str) -> Iterator[None]:
    """`distill-perception run`, active."""
    command = [sys.executable, "-m", "distill_perception.cli", "run", *words]
    with log.open("w") as output:
        node = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "active:" in log.read_text(), 40.0, "the node is active")
        yield
    finally:
        node.terminate()
        node.wait(20.0)


# Sends a small picture until a mask comes back, with whatever transports its environment gives.
PLAIN_CAMERA = """
import sys, time, rclpy
from rclpy.qos import qos_profile_sensor_data as qos
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("plain")
camera, masks = node.create_publisher(Image, "/cam/image_raw", qos), []
node.create_subscription(Image, "/cam/perception/mask", masks.append, qos)
message = Image(height=48, width=64, step=192, encoding="rgb8", data=bytes(48 * 192))
deadline = time.monotonic() + 15
while not masks and time.monotonic() < deadline:
    message.header.stamp = node.get_clock().now().to_msg()
    camera.publish(message)
    rclpy.spin_once(node, timeout_sec=0.2)
sys.exit(0 if masks else "no mask came back")
"""


@pytest.mark.parametrize("discovery", ["SUBNET", "LOCALHOST"])
def test_processes_with_default_transports_are_heard_and_hear(
    discovery: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    env = plain_environment(own_domain(), ROS_AUTOMATIC_DISCOVERY_RANGE=discovery)
    with running(tmp_path / "log", env, "--bundle", str(tiny_bundle), "--camera", RAW):
        for command in (["-c", PLAIN_CAMERA], ["-m", "distill_perception.cli", "watch", "--once"]):
            done = subprocess.run(
                [sys.executable, *command], env=env, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
    assert RAW in done.stdout


def test_a_large_camera_with_default_transports_is_seen_to_lose_frames(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    domain = own_domain()
    client = Client(domain)
    diagnostics = client.collect(DiagnosticArray, "/diagnostics")
    env = plain_environment(domain)
    camera = [sys.executable, "-m", "tests.support.camera_process", RAW, "1280", "720", "30", "60"]
    try:
        with running(tmp_path / "log", env, "--bundle", str(tiny_bundle), "--camera", RAW):
            env["FASTDDS_BUILTIN_TRANSPORTS"] = "DEFAULT"  # else the camera would take the profile by itself
            subprocess.run(camera, env=env, cwd=ROOT, timeout=60, check=True)

            def of_camera() -> list[DiagnosticStatus]:
                return [line for message in diagnostics for line in message.status if line.hardware_id == RAW]

            def accounted() -> int:
                values = {item.key: item.value for item in of_camera()[-1].values}
                return int(values["lost_in_transport"]) + int(values["received"])

            wait_until(lambda: accounted() >= 50, 5.0, "nearly all of 60 frames are accounted for")
            assert accounted() <= 60
            assert any("frames were lost on their way" in line.message for line in of_camera())
    finally:
        client.close()
    assert "config/fastdds.xml" in (tmp_path / "log").read_text()


def test_a_recording_says_how_many_frames_were_lost_and_that_no_more_come(tmp_path: Path) -> None:
    env = plain_environment(own_domain(), COLUMNS="200")
    line = [sys.executable, "-m", "distill_perception.cli", "record", RAW, str(tmp_path / "bag")]
    recorder = subprocess.Popen(line, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    camera = [sys.executable, "-m", "tests.support.camera_process", RAW, "1280", "720", "30", "60"]
    env["FASTDDS_BUILTIN_TRANSPORTS"] = "DEFAULT"
    try:
        subprocess.run(camera, env=env, cwd=ROOT, timeout=60, check=True)
        time.sleep(5.0)  # of silence
        recorder.send_signal(signal.SIGINT)
        _, err = recorder.communicate(timeout=30)
    finally:
        recorder.kill()
    assert re.search(rf"warning: {RAW}: \d+ frames were lost on their way: .*config/fastdds.xml", err)
    assert re.search(rf"warning: {RAW}: no frame for \d s: nobody publishes", err), (
        "what came after is said too"
    )
