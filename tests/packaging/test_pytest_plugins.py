"""pytest beside what apt's ROS 2 puts on PYTHONPATH."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["launch_testing", "launch_ros", "launch_pytest"])
def test_launchs_own_pytest_plugins_which_know_no_pytest_9_stop_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "plugin_of_ros.py").write_text("def pytest_pycollect_makemodule(path, parent): ...\n")
    info = tmp_path / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{name} = plugin_of_ros\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_machine.py"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
