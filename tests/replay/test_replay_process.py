"""Replay as a process: a node that fails, being stopped early, and a node that runs already."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_perception.bags.labelled_folder import read_labelled_folder
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.child import module_command
from distill_perception.errors import ReplayError
from distill_perception.replay import node_process
from distill_perception.replay.node_process import NodeOptions, NodeProcess, free_domain_id, ros_arguments
from tests.replay.conftest import command
from tests.replay.references import reference_miou
from tests.support import drives
from tests.support.environ import with_checkout
from tests.support.tiny_bundle import write_tiny_bundle

pytestmark = [pytest.mark.ros]
rclpy = pytest.importorskip("rclpy", reason="the real node needs rclpy")


def test_a_node_that_cannot_start_ends_the_replay_with_its_log(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    done = command("replay", labelled_bag, "-b", tiny, "-o", tmp_path, "--precision", "int8")

    assert done.code == 2
    assert "the perception node ended" in done.err
    assert "has no precision 'int8'" in done.err
    assert "Traceback" not in done.err


def test_files_of_the_current_folder_are_not_taken_for_the_nodes(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the user')")
    words = ("replay", labelled_bag, "-b", tiny, "-o", tmp_path / "out", "--precision", "int8")
    done = subprocess.run(
        [*module_command("distill_perception.cli"), *map(str, words)],
        env=with_checkout(COLUMNS="200"), capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip

    assert "has no precision 'int8'" in done.stderr


def test_a_robots_discovery_server_does_not_keep_a_replay_from_its_node(
    labelled_bag: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "192.0.2.1:11811")  # as a TurtleBot 4 sets it
    monkeypatch.setenv("ROS_SUPER_CLIENT", "True")
    words = ("--as-fast-as-possible", "--no-video", "--start-timeout", 60)
    done = command("replay", labelled_bag, "-b", tiny, "-o", tmp_path, *words)

    assert done.code == 0, done.err


def start(*words: object, domain_id: int | None = None) -> "subprocess.Popen[str]":
    """A command that goes on while the test looks at it."""
    environ = with_checkout(COLUMNS="200", NO_COLOR="1")
    if domain_id is not None:
        environ["ROS_DOMAIN_ID"] = str(domain_id)
    line = [sys.executable, "-m", "distill_perception.cli", *map(str, words)]
    return subprocess.Popen(
        line,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)


def long_bag(path: Path) -> Path:
    """A bag that plays for a minute."""
    folder = read_labelled_folder(drives.write_folder(path / "drive", frames=30))
    write_bag(path / "bag", folder.frames(), BagOptions(rate_hz=0.5), folder.class_names)
    return path / "bag"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_early_keeps_what_was_answered_and_ends_the_node(
    number: signal.Signals, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out, "--rate", "5")
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    (node,) = children(replay.pid)
    time.sleep(5)  # some of 12 s of frames, also where a busy machine is slow to let replay find its node
    replay.send_signal(number)
    _, err = replay.communicate(timeout=30)

    assert replay.returncode == 130, err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["complete"] is False
    assert 0 < metrics["answered"] <= metrics["frames"] < 30
    assert "incomplete" in (out / "report.html").read_text()
    assert not Path(f"/proc/{node}").exists()


def has_ended(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()  # a container's init may reap nobody
    except FileNotFoundError:
        return True


def test_a_killed_replay_takes_its_node_along(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out)
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    (node,) = children(replay.pid)
    replay.kill()
    replay.communicate(timeout=30)

    wait_for(lambda: has_ended(node), "the node has ended", 60)


IMPOLITE = """
import signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def test_ctrl_c_while_the_node_is_being_ended_ends_it_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(process: "subprocess.Popen[bytes]", timeout: float) -> int:
        waits.append(timeout)
        if len(waits) < 3:
            raise KeyboardInterrupt
        return in_earnest(process, timeout)

    waits: list[float] = []
    in_earnest = subprocess.Popen.wait
    monkeypatch.setattr(node_process, "module_command", lambda name: [sys.executable, "-c", IMPOLITE])
    node = NodeProcess(NodeOptions("bundle", ("/camera",)), tmp_path / "log", dict(os.environ))
    node.__enter__()
    wait_for(lambda: "up" in node.log.read_text(), "it is up")
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    node.__exit__(None, None, None)

    with pytest.raises(ReplayError, match="exit status -9"):
        node.check()


def test_what_a_node_answered_before_it_died_is_reported(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out, "--rate", "5")
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    time.sleep(5)  # some of 12 s of frames
    os.kill(children(replay.pid)[0], signal.SIGKILL)
    _, err = replay.communicate(timeout=30)

    assert replay.returncode == 2
    assert "the perception node ended (exit status -9)" in err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["complete"] is False
    assert "exit status -9" in metrics["failure"]
    assert 0 < metrics["answered"] <= metrics["frames"] < 30
    assert metrics["miou"] is not None
    assert "exit status -9" in (out / "report.html").read_text()


def test_a_node_that_dies_ends_the_replay_with_its_log(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay = start("replay", long_bag(tmp_path), "-b", tiny, "-o", out)
    wait_for(
        lambda: (out / "node.log").is_file() and "active" in (out / "node.log").read_text(), "it is active"
    )
    os.kill(children(replay.pid)[0], signal.SIGKILL)
    _, err = replay.communicate(timeout=30)

    assert replay.returncode == 2
    assert "the perception node ended (exit status -9)" in err
    assert "active: /camera/front/image_raw" in err


def test_run_watch_and_attach_work_on_one_node(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    domain_id = free_domain_id()
    node = start("run", "-b", tiny, "-c", "/camera/front/image_raw", domain_id=domain_id)
    try:
        watch = start("watch", "--once", domain_id=domain_id)
        watched, _ = watch.communicate(timeout=30)
        replay = start(
            "replay",
            labelled_bag,
            "-b",
            tiny,
            "-o",
            tmp_path,
            "--attach",
            "--as-fast-as-possible",
            domain_id=domain_id,
        )
        _, err = replay.communicate(timeout=60)
    finally:
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=20)

    assert watch.returncode == 0
    assert "tiny 0.0.1" in watched
    assert "/camera/front/image_raw" in watched
    assert replay.returncode == 0, err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["score_threshold"] == 0.3  # the node's own
    assert (metrics["dropped"], metrics["miou"]) == (0, pytest.approx(reference_miou(range(6))[0], abs=1e-6))
    assert node.returncode == 0


def test_a_replay_is_not_answered_by_a_node_that_is_there_already(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    domain_id = free_domain_id()
    words = ("run", "-b", tiny, "-c", "/camera/front/image_raw")
    nodes = [start(*words, domain_id=domain_id)]
    try:
        attached = ("replay", labelled_bag, "-b", tiny, "-o", tmp_path / "out", "--attach")
        alone = start(*attached, domain_id=domain_id)
        alone.communicate(timeout=60)
        own = command("replay", labelled_bag, "-b", tiny, "-o", tmp_path / "own", "--domain-id", domain_id)
        nodes.append(start(*words, "--", "-r", "__node:=second", domain_id=domain_id))
        for _ in range(5):  # a busy machine's nodes may be slow to hear of each other
            replay = start(*attached, "--node", "second", domain_id=domain_id)
            _, err = replay.communicate(timeout=60)
            if replay.returncode:
                break
    finally:
        for process in nodes:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)

    assert (alone.returncode, own.code, replay.returncode) == (0, 2, 2)
    assert f"a node in ROS domain {domain_id} publishes /camera/front/perception/" in own.err
    assert "2 nodes publish /camera/front/perception/" in err
    assert not (tmp_path / "own" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("other", "the running node serves bundle 'tiny 0.0.1', not 'other 0.0.1'"),
        ("tiny", "has loaded another fp32 model than bundle 'tiny 0.0.1' holds now"),
    ],
)
def test_attaching_to_a_node_with_another_bundle_is_refused(
    name: str, said: str, labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", ("segmentation", "detection"), name=name, work=1)
    domain_id = free_domain_id()
    node = start("run", "-b", tiny, "-c", "/camera/front/image_raw", domain_id=domain_id)
    try:
        words = (
            "replay",
            labelled_bag,
            "-b",
            other,
            "-o",
            tmp_path / "out",
            "--attach",
            "--as-fast-as-possible",
        )
        replay = start(*words, domain_id=domain_id)
        _, err = replay.communicate(timeout=60)
    finally:
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=20)

    assert replay.returncode == 2
    assert said in err
    assert "--bundle" in err
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_path_may_have_any_letters() -> None:
    path = '/home/m\u00fcller/\U0001f697 drive\'s "best"'
    context = rclpy.Context()
    rclpy.init(args=ros_arguments({"bundle": path}), context=context)
    node = rclpy.create_node("perception", context=context)
    try:
        assert node.declare_parameter("bundle", "").value == path
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_attaching_to_no_node_says_so(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    done = command(
        "replay", labelled_bag, "-b", tiny, "-o", tmp_path, "--attach", "--start-timeout", 2,
        "--domain-id", free_domain_id(),
    )  # fmt: skip

    assert done.code == 2
    assert (
        "was not ready after 2 s (--start-timeout): it does not subscribe to /camera/front/image_raw"
        in done.err
    )
