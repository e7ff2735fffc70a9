"""Packages that apt has too old."""

import subprocess
import sys
from pathlib import Path

import pytest

from distill_perception.dependencies import NEEDED, check_dependencies
from distill_perception.errors import ConfigError
from tests.support.environ import with_checkout

ROOT = Path(__file__).resolve().parents[1]


def pretend(folder: Path, package: str, version: str) -> None:
    """An installed version that hides the real one, which could do nothing but fail."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (folder / f"{package}.py").write_text("raise ImportError('an old one')")


def test_the_versions_are_those_of_setup_py() -> None:
    setup = (ROOT / "setup.py").read_text()
    assert all(f'"{package}>={version}"' in setup for package, version in NEEDED.items())
    check_dependencies(*NEEDED)


@pytest.mark.parametrize("command", ["cli", "ros.node"])
def test_a_version_that_is_too_old_is_named_once_with_the_remedy(command: str, tmp_path: Path) -> None:
    pretend(tmp_path, "pydantic", "1.10.14")
    done = subprocess.run(
        [sys.executable, "-m", f"distill_perception.{command}"],
        env=with_checkout(tmp_path, COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert "pydantic 1.10.14 is too old, 2.5 or newer is needed" in done.stderr
    assert "python3 -m pip install --user 'pydantic>=2.5'" in done.stderr


def test_ten_is_newer_than_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill_perception.dependencies.version", lambda package: "2.10.0rc1")
    check_dependencies("pydantic")


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDED, "no_such_package", "1.0")
    with pytest.raises(ConfigError, match=r"no_such_package 1\.0 or newer is not installed"):
        check_dependencies("no_such_package")
