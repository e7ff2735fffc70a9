"""A live camera into a bag, over DDS."""

import errno
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer
from sensor_msgs.msg import CompressedImage, Image
from typer.testing import CliRunner

from distill_perception.bags.reader import open_bag
from distill_perception.cli import app
from distill_perception.errors import BagError
from distill_perception.replay import record as record_module
from distill_perception.replay.record import record
from tests.support.environ import with_checkout
from tests.support.ros_process import (
    BEST_EFFORT,
    RELIABLE,
    CameraClient,
    Client,
    compressed_message,
    image_message,
    wait_until,
)

IN_THIS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def command(topic: str, bag: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "distill_perception.cli", "record", topic, str(bag), *more]


def start(
    domain: int, topic: str, bag: Path, *more: str, by: tuple[str, ...] = ()
) -> "subprocess.Popen[str]":
    line = [*by, *command(topic, bag, *more)]
    environ = with_checkout(ROS_DOMAIN_ID=str(domain), COLUMNS="200")
    return subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_in_terminal(domain: int, topic: str, bag: Path) -> "tuple[subprocess.Popen[bytes], int]":
    """The command as the process of a terminal of its own, and the file that closes the terminal."""
    ours, its = pty.openpty()
    line = [sys.executable, "-c", IN_THIS_TERMINAL, *command(topic, bag, "--seconds", "60")]
    environ = with_checkout(ROS_DOMAIN_ID=str(domain))
    process = subprocess.Popen(line, env=environ, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    return process, ours


def send(camera: CameraClient, pictures: list[np.ndarray], packed: bool) -> list[tuple[int, int]]:
    wait_until(camera._publisher.get_subscription_count, 15.0, "somebody records")
    time.sleep(1.0)  # until the other side knows too
    return [
        camera.send(compressed_message(picture) if packed else image_message(picture, padding=3))
        for picture in pictures
    ]


@pytest.mark.parametrize(
    ("topic", "profile"),
    [("/cam/image_raw", BEST_EFFORT), ("/cam/image_raw", RELIABLE), ("/cam/image_raw/compressed", RELIABLE)],
)
def test_what_a_camera_sends_is_in_the_bag_when_ctrl_c_ends_it(
    domain: int, client: Client, tmp_path: Path, topic: str, profile: object
) -> None:
    packed = topic.endswith("compressed")
    recorder = start(domain, topic, tmp_path / "bag", "--seconds", "60")
    camera = CameraClient(client, topic, CompressedImage if packed else Image, profile)
    pictures = [np.full((24, 32, 3), 40 * index, np.uint8) for index in range(5)]
    stamps = send(camera, pictures, packed)
    time.sleep(1.0)  # until they have come
    recorder.send_signal(signal.SIGINT)
    out, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    assert "error" not in err
    assert err.count("warning:") == err.count("no frame for")  # which a busy machine may say before the first
    assert "5 frames" in out
    with AnyReader([tmp_path / "bag"]) as reader:
        found = [reader.deserialize(data, kind.msgtype) for kind, _, data in reader.messages()]
        assert {item.topic for item in reader.connections} == {topic}
    assert [(item.header.stamp.sec, item.header.stamp.nanosec) for item in found] == stamps
    if not packed:
        rows = [item.data.reshape(24, item.step)[:, :96].reshape(24, 32, 3) for item in found]
        np.testing.assert_array_equal(rows, pictures)
    assert not list(tmp_path.glob(".*unfinished*"))


def test_a_terminal_that_is_closed_ends_it_and_the_bag_is_whole(
    domain: int, client: Client, tmp_path: Path
) -> None:
    recorder, terminal = start_in_terminal(domain, "/cam/image_raw", tmp_path / "bag")
    send(CameraClient(client, "/cam/image_raw"), [np.zeros((8, 8, 3), np.uint8)] * 3, packed=False)
    time.sleep(1.0)  # until they have come
    os.close(terminal)
    recorder.wait(30)
    assert [item.name for item in tmp_path.iterdir()] == ["bag"]
    with AnyReader([tmp_path / "bag"]) as reader:
        assert reader.message_count == 3


def test_progress_that_a_closed_terminal_refuses_does_not_spoil_the_bag(
    domain: int, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frame may come when the terminal is gone and the signal is still on its way."""

    def refused(*_: object) -> None:
        camera.send(image_message(np.zeros((8, 8, 3), np.uint8)))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(record_module, "progress_bars", lambda: nullcontext(refused))
    camera = CameraClient(client, "/cam/image_raw")
    environ = {"ROS_DOMAIN_ID": str(domain), "COLUMNS": "300"}
    line = ["record", "/cam/image_raw", str(tmp_path / "bag"), "--seconds", "0.5"]
    done = CliRunner(env=environ).invoke(app, line)
    assert done.exit_code == 0, done.output
    with AnyReader([tmp_path / "bag"]) as reader:
        assert reader.message_count > 1


def test_a_terminal_that_is_closed_does_not_end_it_under_nohup(
    domain: int, client: Client, tmp_path: Path
) -> None:
    nohup = shutil.which("nohup")
    assert nohup, "LOUD: record under nohup NOT TESTED: there is no nohup"
    recorder = start(domain, "/cam/image_raw", tmp_path / "bag", "--seconds", "60", by=(nohup,))
    camera = CameraClient(client, "/cam/image_raw")
    send(camera, [np.zeros((8, 8, 3), np.uint8)], packed=False)
    recorder.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        recorder.wait(1)
    camera.send(image_message(np.zeros((8, 8, 3), np.uint8)))
    time.sleep(1.0)  # until it has come
    recorder.send_signal(signal.SIGINT)
    out, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, err
    assert "2 frames" in out


def test_a_driver_that_gives_each_frame_one_stamp_is_told_and_nobody_is_asked_to_play_that(
    domain: int, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def progress() -> Iterator[object]:
        yield lambda *_: camera.send(image_message(np.zeros((8, 8, 3), np.uint8)), Time(sec=7))

    monkeypatch.setattr(record_module, "progress_bars", progress)
    camera = CameraClient(client, "/cam/image_raw")
    environ = {"ROS_DOMAIN_ID": str(domain), "COLUMNS": "300"}
    done = CliRunner(env=environ).invoke(
        app, ["record", "/cam/image_raw", str(tmp_path / "bag"), "--seconds", "0.5"]
    )
    assert done.exit_code == 0, done.output
    frames = int(re.search(r"(\d+) frames", done.stdout)[1])
    assert frames > 1
    assert f"{frames - 1} of {frames} frames have the stamp of one before" in done.stderr
    assert "play it" not in done.stdout
    with pytest.raises(BagError, match=r"have the stamp 7\.000000000 s"):
        list(open_bag(tmp_path / "bag").frames())


def test_it_ends_by_itself_after_its_seconds(domain: int, client: Client, tmp_path: Path) -> None:
    recorder = start(domain, "/cam/image_raw", tmp_path / "bag", "--seconds", "0.5")
    send(CameraClient(client, "/cam/image_raw"), [np.zeros((8, 8, 3), np.uint8)], packed=False)
    out, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 0
    assert "1 frames\nplay it: distill-perception replay" in out


def test_a_silent_topic_is_explained_while_waiting_and_leaves_no_bag(domain: int, tmp_path: Path) -> None:
    recorder = start(domain, "/nobody/image_raw", tmp_path / "new" / "folders" / "bag")
    with pytest.raises(subprocess.TimeoutExpired):
        recorder.wait(7)
    recorder.send_signal(signal.SIGINT)
    _, err = recorder.communicate(timeout=30)
    assert recorder.returncode == 2
    assert "warning: /nobody/image_raw: no frame for 3 s: nobody publishes /nobody/image_raw" in err
    assert re.search(r"error: /nobody/image_raw: no frame came; no frame for \d s: nobody publishes", err)
    assert not list(tmp_path.iterdir())


def test_a_topic_of_another_type_is_named(domain: int, client: Client, tmp_path: Path) -> None:
    client.node.create_publisher(CompressedImage, "/odd/image_raw", RELIABLE)
    recorder = start(domain, "/odd/image_raw", tmp_path / "bag")
    with pytest.raises(subprocess.TimeoutExpired):
        recorder.wait(7)
    recorder.terminate()
    _, err = recorder.communicate(timeout=30)
    assert "/odd/image_raw is published as sensor_msgs/msg/CompressedImage" in err


def test_an_error_while_recording_keeps_the_frames_that_came_and_the_old_bag(
    domain: int, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(Writer):
        def write(self, *frame: object) -> None:
            if sum(self.counts.values()) == 2:
                raise OSError(28, "No space left on device")
            super().write(*frame)

    def send_on(what: str, done: int, total: int) -> None:
        camera.send(image_message(np.zeros((8, 8, 3), np.uint8)))

    @contextmanager
    def progress() -> Iterator[object]:
        yield send_on

    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setattr(record_module, "progress_bars", progress)
    camera = CameraClient(client, "/cam/image_raw")
    record("/cam/image_raw", tmp_path / "bag", 0.5)
    before = (tmp_path / "bag" / "metadata.yaml").read_text()
    monkeypatch.setattr(record_module, "Writer", FullDisk)
    with pytest.raises(BagError, match="No space left on device; what there is stays in ") as caught:
        record("/cam/image_raw", tmp_path / "bag", 60, force=True)

    kept = Path(str(caught.value).rpartition(" stays in ")[2])
    with AnyReader([kept]) as reader:
        assert reader.message_count == 2
    assert (tmp_path / "bag" / "metadata.yaml").read_text() == before
