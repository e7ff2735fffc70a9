"""The live view of a node, from diagnostics as the node writes them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from distill_perception.errors import ConfigError
from distill_perception.ros.status import Status, read_status
from distill_perception.ros.watch import view
from distill_perception.ros.watch import watch_once as print_status
from tests.support.ros_process import environment, running_node

CAMERA = {
    "rate_hz": "14.9",
    "received": "100",
    "processed": "90",
    "dropped_overwritten": "7",
    "dropped_stale": "2",
    "malformed": "1",
    "failed": "0",
    "total_p50_ms": "12.3",
    "total_p95_ms": "20.0",
    "total_p99_ms": "31.5",
}


def line(name: str, values: dict[str, str], hardware_id: str = "", message: str = "", level: int = 0) -> Any:
    pairs = [SimpleNamespace(key=key, value=value) for key, value in values.items()]
    return SimpleNamespace(
        name=name, hardware_id=hardware_id, message=message, level=bytes([level]), values=pairs
    )


def diagnostics() -> Any:
    node = {"state": "active", "bundle": "tiny", "bundle_version": "1", "engine_description": "onnx, cpu"}
    camera = line("perception: /front/image_raw", CAMERA, "/front/image_raw", "receiving")
    return SimpleNamespace(status=[line("perception: node", node, message="active"), camera])


def shown(status: Status, width: int = 80) -> str:
    console = Console(width=width, record=True, color_system=None)
    with console.capture() as capture:
        console.print(view(status))
    return capture.get()


def test_counters_are_read_by_camera() -> None:
    status = read_status(diagnostics())

    assert status is not None
    assert (status.bundle, status.engine, status.state) == ("tiny 1", "onnx, cpu", "active")
    assert status.counters["/front/image_raw"]["dropped_overwritten"] == 7


def test_another_nodes_diagnostics_are_not_taken_for_ours() -> None:
    assert read_status(SimpleNamespace(status=[line("camera driver", {"received": "3"})])) is None


def test_a_renamed_or_namespaced_node_is_found_by_its_whole_name() -> None:
    names = ("perception", "front_perception", "perception_rear", "car/perception")
    for name in names:
        status = SimpleNamespace(status=[line(f"{name}: node", {"state": "active"}, message=name)])
        assert [other for other in names if read_status(status, other)] == [name]
        assert read_status(status, f"/{name}") is not None


def test_the_view_shows_rate_latency_and_all_drops_in_80_columns() -> None:
    status = read_status(diagnostics())
    assert status is not None

    text = shown(status)

    row = next(text_line for text_line in text.splitlines() if "/front/image_raw" in text_line)
    assert row.split() == ["/front/image_raw", "14.9", "12.3", "20.0", "31.5", "100", "10", "receiving"]


def test_a_node_that_could_not_configure_says_why() -> None:
    values = {"state": "unconfigured", "bundle": "missing"}
    message = SimpleNamespace(
        status=[line("perception: node", values, message="bundle 'missing': no such folder")]
    )

    status = read_status(message)

    assert status is not None
    assert "no such folder" in shown(status)


def test_what_is_wrong_with_a_camera_has_the_width_of_the_terminal() -> None:
    trouble = "every frame is too old: synchronize the clocks, or raise max_age_ms"
    message = SimpleNamespace(
        status=[line("perception: /front/image_raw", CAMERA, "/front/image_raw", trouble, level=1)]
    )
    status = read_status(message)
    assert status is not None

    text = shown(status)

    row = next(text_line for text_line in text.splitlines() if "14.9" in text_line)
    assert row.split()[-1] == "warning"
    assert f"/front/image_raw: {trouble}" in " ".join(text.split())
    assert len(text.splitlines()) <= 5


def test_a_name_that_no_node_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="--node 'bad name' is not a node's name"):
        print_status("bad name", patience_s=0.1)


def watch_once(domain: int, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "distill_perception.cli", "watch", "--once", *words]
    environ = {name: text for name, text in environment(domain).items() if name != "COLUMNS"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)


def test_a_pipe_gets_whole_lines_and_the_exit_status_says_how_the_node_fares(
    domain: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    topic = f"/{'a_camera_of_a_long_name/' * 5}image_raw"
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[topic]) as node:
        node.wait_for_log("nobody publishes")
        watched, other = watch_once(domain), watch_once(domain, "--node", "rear")

    assert watched.returncode == 1
    assert f"{topic}: no frame for" in watched.stdout
    assert watched.stdout.count(topic) >= 2  # in the table too
    assert "have this name" not in watched.stdout
    assert other.returncode == 2
    assert "heard no diagnostics of a node 'rear' for 5 s; heard are: perception" in other.stderr


def test_two_nodes_of_one_name_are_told(domain: int, tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        running_node(domain, tmp_path / "one", bundle=str(tiny_bundle), cameras=["/front/image_raw"]),
        running_node(domain, tmp_path / "two", bundle=str(tiny_bundle), cameras=["/rear/image_raw"]),
    ):
        assert "2 nodes have this name" in watch_once(domain).stdout


@pytest.mark.parametrize(
    ("state", "level", "well"), [("active", 0, True), ("active", 1, False), ("inactive", 0, False)]
)
def test_a_node_is_well_that_is_active_with_no_camera_in_trouble(state: str, level: int, well: bool) -> None:
    lines = [
        line("perception: node", {"state": state, "bundle": "tiny"}),
        line("perception: /front/image_raw", CAMERA, "/front/image_raw", "", level),
    ]
    status = read_status(SimpleNamespace(status=lines))
    assert status is not None
    assert status.well is well


def test_a_domain_that_is_none_ends_in_one_line() -> None:
    environ = {**os.environ, "ROS_DOMAIN_ID": "abc"}
    command = [sys.executable, "-m", "distill_perception.cli", "watch", "--once"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert done.returncode == 2
    assert "ROS 2 does not start" in done.stderr
    assert "ROS_DOMAIN_ID" in done.stderr
    assert "Traceback" not in done.stderr
