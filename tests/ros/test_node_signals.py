"""Signals end the node whatever it is doing: building an engine, or waiting for one that hangs."""

import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray

from tests.support.ros_process import CameraClient, Client, NodeProcess, image_message, wait_until

RAW = "/cam/image_raw"

# Half a minute to open, with progress told, as while TensorRT builds.
SLOW_TO_OPEN = """
import sys, time
from distill_perception.ros import node, runtime
opened = runtime.open_engine
def slowly(bundle, engine, settings):
    for step in range(300):
        settings.progress("building engine", step, 300)
        time.sleep(0.1)
    return opened(bundle, engine, settings)
runtime.open_engine = slowly
sys.exit(node.main(sys.argv))
"""
# The engine never comes back from its first camera frame.
HANGS = """
import sys, time
from distill_perception.perceptor import Perceptor
from distill_perception.ros import node
def hang(*arguments):
    print("hanging", flush=True)
    time.sleep(600)
Perceptor.perceive = hang
sys.exit(node.main(sys.argv))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_building_of_an_engine_is_told_in_log_and_diagnostics_and_ends_at_a_signal(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    told = client.collect(DiagnosticArray, "/diagnostics")
    parameters = {"bundle": str(tiny_bundle), "cameras": [RAW]}
    node = NodeProcess(domain, tmp_path / "log", parameters, program=("-c", SLOW_TO_OPEN))
    node.wait_for_log("building engine")
    building = r"\w+, building engine: [1-9]\d? %"
    wait_until(
        lambda: any(re.fullmatch(building, item.message) for array in told for item in array.status),
        15.0,
        "diagnostics that say how far it is",
    )
    begin = time.monotonic()
    assert node.stop(number) == 0
    assert time.monotonic() - begin < 10
    assert f"{number.name}: shutting down" in node.log
    assert "active:" not in node.log
    assert "Traceback" not in node.log


def test_a_second_signal_ends_a_node_whose_engine_hangs(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path
) -> None:
    parameters = {"bundle": str(tiny_bundle), "cameras": [RAW]}
    node = NodeProcess(domain, tmp_path / "log", parameters, program=("-c", HANGS))
    node.wait_for_log("active:")
    camera = CameraClient(client, RAW)

    def hangs() -> bool:
        camera.send(image_message(np.zeros((96, 128, 3), np.uint8)))
        time.sleep(0.05)
        return "hanging" in node.log

    wait_until(hangs, 15.0, "a frame arrives")
    node.send_signal(signal.SIGINT)
    node.wait_for_log("another signal, 2 s later, ends the node at once")
    time.sleep(2.1)
    assert node.stop(signal.SIGINT) == -signal.SIGINT


def test_signals_that_come_together_are_one_wish_to_stop(
    domain: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    """A service manager signals a whole group, and `ros2 launch` in it then signals the node once more."""
    node = NodeProcess(domain, tmp_path / "log", {"bundle": str(tiny_bundle), "cameras": [RAW]})
    node.wait_for_log("active:")
    node.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    assert node.stop(signal.SIGINT) == 0
    assert "shutting down" in node.log
    assert "final counters of /cam/image_raw" in node.log
