"""A signal while a bag is made from a folder: nothing half-written stays, the exit status is its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import drives
from tests.support.environ import with_checkout

# Ten seconds of pictures.
SLOW_TO_READ = """
import time
from distill_perception.bags import labelled_folder
from distill_perception.cli import main
read = labelled_folder._read
def slowly(*words):
    time.sleep(0.1)
    return read(*words)
labelled_folder._read = slowly
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind_and_is_told_in_one_line(
    number: signal.Signals, tmp_path: Path
) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=100, labelled=False)
    making = subprocess.Popen(
        [sys.executable, "-c", SLOW_TO_READ, "bag", str(folder), str(tmp_path / "bag")],
        env=with_checkout(COLUMNS="200", NO_COLOR="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".bag-unfinished-*/bag/*")):
        assert making.poll() is None
        assert time.monotonic() < deadline, "it has not begun to write within 30 s"
        time.sleep(0.05)
    making.send_signal(number)
    out, err = making.communicate(timeout=30)

    assert making.returncode == 128 + number
    assert [item.name for item in tmp_path.iterdir()] == ["drive"]
    assert out == ""
    assert err.splitlines()[-1] == f"warning: stopped: {tmp_path / 'bag'} was not written"
    assert err.count("warning") == 1
    assert "Traceback" not in err
