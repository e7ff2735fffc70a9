"""Commands that the other half carries out."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill_perception import training_half
from distill_perception.child import module_command
from distill_perception.cli import app
from tests.support.environ import with_checkout

ROOT = Path(__file__).resolve().parents[1]


def test_without_the_training_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_half, "find_spec", lambda name: None if name == "torch" else object())
    result = CliRunner().invoke(app, ["compress", "recipe.yaml"])
    assert result.exit_code == 2
    assert "distill_perception[training]" in result.stderr


def test_the_training_half_speaks_for_itself() -> None:
    line = [
        sys.executable,
        "-m",
        "distill_perception.cli",
        "compress",
        "nowhere.yaml",
        "--max-miou-drop",
        "2",
    ]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "cannot read recipe nowhere.yaml" in done.stderr


def stand_ins(folder: Path, main: str) -> None:
    """Packages named as the training half and what it needs."""
    for name in ("torch", "lightning", "torch_pruning", "training/__init__"):
        (folder / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").touch()
    (folder / "training" / "__main__.py").write_text(main)


def test_files_of_the_current_folder_are_not_taken_for_it(tmp_path: Path) -> None:
    stand_ins(tmp_path / "installed", "import random, sys\nprint('the real one', *sys.argv[1:])")
    for name in ("training", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user')")
    line = [*module_command("distill_perception.cli"), "compress", "recipe.yaml", "--jobs", "2"]
    environ = with_checkout(tmp_path / "installed")
    done = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout) == ("", "the real one compress recipe.yaml --jobs 2\n")


STAND_IN = """
import sys, time
from pathlib import Path
print(*sys.argv[1:], flush=True)
try:
    time.sleep(30)
except KeyboardInterrupt:
    time.sleep(1)  # a checkpoint of some size
    Path("checkpoint").touch()
    sys.exit(7)
"""


def test_ctrl_c_lets_it_save_and_its_exit_status_is_passed_on(tmp_path: Path) -> None:
    stand_ins(tmp_path, STAND_IN)
    line = [sys.executable, "-m", "distill_perception.cli", "compress", "recipe.yaml", "--max-miou-drop", "2"]
    with subprocess.Popen(
        line,
        cwd=tmp_path,
        env=with_checkout(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "compress recipe.yaml --max-miou-drop 2\n"
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to everyone in it
        assert process.wait(20) == 7

    assert (tmp_path / "checkpoint").exists()
