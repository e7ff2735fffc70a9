"""Drives, bags and one real replay that several tests look at."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from distill_perception.bags.labelled_folder import read_labelled_folder
from distill_perception.bags.writer import BagOptions, write_bag
from tests.support.drives import write_folder
from tests.support.environ import with_checkout
from tests.support.tiny_bundle import write_tiny_bundle


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def command(*words: object, timeout: float = 60, cwd: Path | None = None) -> Finished:
    """Run `distill-perception` as a process of its own."""
    environ = with_checkout(COLUMNS="200", NO_COLOR="1")
    line = [sys.executable, "-m", "distill_perception.cli", *map(str, words)]
    done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=timeout, cwd=cwd)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for both tasks."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", ("segmentation", "detection"))


@pytest.fixture(scope="session")
def unlabelled_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures, compressed to JPEG and without labels."""
    folder = read_labelled_folder(
        write_folder(tmp_path_factory.mktemp("plain") / "folder", labelled=False, names=False)
    )
    path = tmp_path_factory.mktemp("bags") / "unlabelled"
    write_bag(path, folder.frames(), BagOptions(rate_hz=20, compressed=True))
    return path


@dataclass(frozen=True)
class Replayed:
    """A finished replay and its results folder."""

    finished: Finished
    out: Path

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics.json."""
        return json.loads((self.out / "metrics.json").read_text())


@pytest.fixture(scope="session")
def replayed(
    labelled_bag: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Replayed]:
    """Replay the labelled bag with these extra options; each combination runs once a session."""
    pytest.importorskip("rclpy", reason="the real node needs rclpy")
    done: dict[tuple[str, ...], Replayed] = {}

    def run(*options: str) -> Replayed:
        if options not in done:
            out = tmp_path_factory.mktemp("results")
            done[options] = Replayed(command("replay", labelled_bag, "-b", tiny, "-o", out, *options), out)
        return done[options]

    return run
