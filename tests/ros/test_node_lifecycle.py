"""The node's states, parameters and end, through the services and signals that a robot uses."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from vision_msgs.msg import LabelInfo

from tests.support.ros_process import (
    LATCHED,
    CameraClient,
    Client,
    NodeProcess,
    image_message,
    own_domain,
    running_node,
    wait_until,
)

RAW = "/cam/image_raw"
BLACK = np.zeros((96, 128, 3), np.uint8)


@pytest.fixture
def managed(domain: int, tiny_bundle: Path, tmp_path: Path) -> Iterator[NodeProcess]:
    """A node that waits for a lifecycle manager."""
    parameters = {"bundle": str(tiny_bundle), "cameras": [RAW], "autostart": False}
    node = NodeProcess(domain, tmp_path / "log", parameters)
    yield node
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log, node.log


def test_every_transition_works_twice_and_only_the_active_node_sees(
    managed: NodeProcess, client: Client
) -> None:
    assert client.state() == "unconfigured"
    assert not client.change_state(Transition.TRANSITION_ACTIVATE)  # not from here
    camera = CameraClient(client, RAW)
    for _ in range(2):
        assert client.change_state(Transition.TRANSITION_CONFIGURE)
        assert client.state() == "inactive"
        assert camera._publisher.get_subscription_count() == 0
        assert client.change_state(Transition.TRANSITION_ACTIVATE)
        assert client.state() == "active"
        camera.connect()
        assert client.change_state(Transition.TRANSITION_DEACTIVATE)
        wait_until(lambda: camera._publisher.get_subscription_count() == 0, 5.0, "no subscription")
        before = len(camera.masks)
        camera.send(image_message(BLACK))
        assert client.change_state(Transition.TRANSITION_CLEANUP)
        assert client.state() == "unconfigured"
        assert len(camera.masks) == before
    assert client.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert client.state() == "finalized"


def test_an_active_node_can_be_shut_down_directly(managed: NodeProcess, client: Client) -> None:
    assert client.change_state(Transition.TRANSITION_CONFIGURE)
    assert client.change_state(Transition.TRANSITION_ACTIVATE)
    assert client.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert client.state() == "finalized"
    assert "final counters" in managed.log


def test_a_bad_parameter_fails_configuring_until_it_is_set_right(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path
) -> None:
    parameters = {"bundle": str(tiny_bundle), "autostart": False, "score_threshold": 7.0, "qos_depth": "many"}
    node = NodeProcess(domain, tmp_path / "log", parameters)
    try:
        assert not client.change_state(Transition.TRANSITION_CONFIGURE)
        assert client.state() == "unconfigured"
        errors = [line for line in node.log.splitlines() if "ERROR" in line]
        assert len(errors) == 1
        assert "'score_threshold' must be 0 to 1, not 7.0" in errors[0]
        assert "'qos_depth' must be of type int, not 'many'" in errors[0]
        assert client.set_parameter("score_threshold", 0.5) == (True, "")
        assert client.set_parameter("qos_depth", 5) == (True, "")
        assert client.change_state(Transition.TRANSITION_CONFIGURE)
    finally:
        assert node.stop() == 0
    assert "Traceback" not in node.log


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[]", "parameter 'cameras' is empty"),
        ("['']", "one of its topics has an empty name"),
        ("['front camera']", "parameter 'cameras': 'front camera' is not a topic name: "),
    ],
)
def test_cameras_of_bad_names_are_refused(domain: int, tmp_path: Path, value: str, said: str) -> None:
    node = NodeProcess(domain, tmp_path / "log", {}, "--ros-args", "-p", f"cameras:={value}")
    assert node.wait() == 1
    (error,) = (line for line in node.log.splitlines() if "ERROR" in line)
    assert said in error


def test_help_is_a_page_not_a_node(domain: int, tmp_path: Path) -> None:
    node = NodeProcess(domain, tmp_path / "log", {}, "--help")
    assert node.wait() == 0
    assert node.log.startswith("usage: perception_node [--ros-args")


@pytest.mark.parametrize(
    "words", [("--bundle", "mine"), ("--ros-args", "-p", "threads:=1", "--", "--bundle")]
)
def test_what_is_no_ros_argument_is_refused(domain: int, tmp_path: Path, words: tuple[str, ...]) -> None:
    node = NodeProcess(domain, tmp_path / "log", {}, *words)
    assert node.wait() == 2
    assert node.log.startswith("perception_node: '--bundle' is no ROS argument; those follow --ros-args")


def test_a_misspelt_parameter_fails_configuring_and_a_foreign_one_is_logged(
    domain: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("/**:\n  ros__parameters:\n    camera: [/cam/image_raw]\n    wheel_base: 2.7\n")
    parameters = {
        "bundle": str(tiny_bundle), "score_treshold": 0.99, "use_sim_time": False,
        "qos_overrides./cam/image_raw.subscription.depth": 1, "qos_overrides./clock.subscription.depth": 1,
    }  # fmt: skip
    node = NodeProcess(domain, tmp_path / "log", parameters, "--ros-args", "--params-file", str(file))
    assert node.wait() == 1
    errors = [line for line in node.log.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "'score_treshold' is not known: did you mean 'score_threshold'?" in errors[0]
    assert "'camera' is not known: did you mean 'cameras'?" in errors[0]
    assert "'wheel_base' is not known and not used" in node.log
    assert "'qos_overrides./cam/image_raw.subscription.depth' is not used: qos_reliability and" in node.log
    assert "/clock" not in node.log
    assert "use_sim_time" not in node.log


def test_parameters_change_at_run_time_or_are_refused_with_the_reason(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path
) -> None:
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[RAW]):
        camera = CameraClient(client, RAW)
        camera.connect()
        assert camera.perceive(image_message(BLACK)).height == 96
        assert client.set_parameter("mask_resolution", "model") == (True, "")
        assert camera.perceive(image_message(BLACK)).height == 48
        told = client.collect(LabelInfo, "/cam/perception/label_info", LATCHED)
        wait_until(lambda: told, 5.0, "label_info")
        assert client.set_parameter("score_threshold", 0.95) == (True, "")
        wait_until(
            lambda: told[-1].threshold == pytest.approx(0.95), 5.0, "label_info with the new threshold"
        )
        for name, value, said in (
            ("mask_resolution", "huge", "one of camera, model"),
            ("score_threshold", 3.0, ""),
            ("bundle", "/elsewhere", "deactivate and clean it up first"),
            ("cameras", ["/other/image"], "deactivate and clean it up first"),
        ):
            accepted, reason = client.set_parameter(name, value)
            assert not accepted
            assert said in reason
        assert camera.perceive(image_message(BLACK)).height == 48


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signals_end_the_node_in_order_while_frames_arrive(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path, number: signal.Signals
) -> None:
    node = NodeProcess(domain, tmp_path / "log", {"bundle": str(tiny_bundle), "cameras": [RAW]})
    node.wait_for_log("active:")
    camera = CameraClient(client, RAW)
    camera.connect()
    for _ in range(10):
        camera.send(image_message(BLACK))
    assert node.stop(number) == 0
    assert number.name in node.log
    assert "final counters of /cam/image_raw: received " in node.log
    assert "Traceback" not in node.log


def test_a_missing_bundle_ends_the_self_starting_node_with_one_error(domain: int, tmp_path: Path) -> None:
    node = NodeProcess(domain, tmp_path / "log", {"bundle": "/no/such/bundle"})
    assert node.wait() == 1
    errors = [line for line in node.log.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "/no/such/bundle" in errors[0]
    assert "Traceback" not in node.log


def test_arguments_that_ros_cannot_read_are_reported_without_a_traceback(domain: int, tmp_path: Path) -> None:
    node = NodeProcess(domain, tmp_path / "log", {}, "--ros-args", "-p", "bundle")
    assert node.wait() == 2
    assert "cannot start" in node.log
    assert "Traceback" not in node.log


def test_a_renamed_node_in_a_namespace_signs_its_diagnostics_with_its_whole_name(
    client: Client, domain: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    diagnostics = client.collect(DiagnosticArray, "/diagnostics")
    parameters = {"bundle": str(tiny_bundle), "cameras": [RAW]}
    remapped = ("--ros-args", "-r", "__ns:=/car", "-r", "__node:=front")
    node = NodeProcess(domain, tmp_path / "log", parameters, *remapped)
    try:
        node.wait_for_log("active:")
        names = {"car/front: node", f"car/front: {RAW}"}
        wait_until(
            lambda: any({status.name for status in m.status} == names for m in diagnostics), 5.0, "both names"
        )
    finally:
        node.stop()


def test_silence_is_explained(client: Client, domain: int, tiny_bundle: Path, tmp_path: Path) -> None:
    diagnostics = client.collect(DiagnosticArray, "/diagnostics")
    with running_node(
        domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=["/nobody/image_raw"]
    ) as node:
        node.wait_for_log("nobody publishes /nobody/image_raw")
        wait_until(
            lambda: any("nobody publishes" in s.message for m in diagnostics for s in m.status),
            5.0,
            "diagnostics",
        )
        last = {status.name: status for status in diagnostics[-1].status}
        values = {item.key: item.value for item in last["perception: node"].values}
        assert values["state"] == "active"
        assert (values["bundle"], values["bundle_version"]) == ("tiny", "0.0.1")
        assert values["engine"] in ("openvino", "onnxruntime")


def test_a_second_node_on_the_same_camera_is_told_of(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path
) -> None:
    parameters = {"bundle": str(tiny_bundle), "cameras": [RAW]}
    camera = CameraClient(client, RAW)
    with (
        running_node(domain, tmp_path / "first", **parameters) as first,
        running_node(domain, tmp_path / "second", **parameters) as second,
    ):

        def both_tell() -> bool:  # of a silent camera another trouble would be told
            camera.send(image_message(np.zeros((48, 64, 3), np.uint8)))
            words = "1 other node(s) publish results of this camera"
            return all(words in node.log for node in (first, second))

        wait_until(both_tell, 30.0, "both nodes tell")


def test_a_camera_of_the_wrong_type_is_named(client: Client, tiny_bundle: Path, tmp_path: Path) -> None:
    from sensor_msgs.msg import CompressedImage

    domain = own_domain()
    other = Client(domain)
    try:
        other.node.create_publisher(CompressedImage, RAW, 5)
        with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[RAW]) as node:
            node.wait_for_log("is published as sensor_msgs/msg/CompressedImage")
    finally:
        other.close()


def test_a_best_effort_camera_and_a_reliable_node_are_explained(tiny_bundle: Path, tmp_path: Path) -> None:
    domain = own_domain()
    other = Client(domain)
    try:
        camera = CameraClient(other, RAW)
        parameters = {"bundle": str(tiny_bundle), "cameras": [RAW], "qos_reliability": "reliable"}
        with running_node(domain, tmp_path / "log", **parameters) as node:
            node.wait_for_log("set qos_reliability:=best_effort")
        assert not camera.masks
    finally:
        other.close()
