"""Torch stays out of the vehicle, rclpy out of training: each side is imported where the other is blocked.

Nor does importing either ask for anything over the network.
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TORCH = ("torch", "torchvision", "torchmetrics", "lightning", "pytorch_lightning", "training")
ROS = ("rclpy", "distill_perception.ros", "distill_perception.replay", "distill_perception.cli")
WALLS = [("distill_perception", TORCH), ("training", ROS), ("distill_perception/bags", (*TORCH, *ROS))]

IMPORT_ALL = """
import importlib, json, sys
blocked, names = json.loads(sys.argv[1]), json.loads(sys.argv[2])
class Wall:
    def find_spec(self, wanted, path=None, target=None):
        if any(wanted == item or wanted.startswith(item + ".") for item in blocked):
            raise ModuleNotFoundError(f"{wanted} is on the other side of the wall", name=wanted)
sys.meta_path.insert(0, Wall())
problems = {}
def note_network(event, words):
    if event == "socket.getaddrinfo":
        problems["network"] = f"{words[0]} was asked for while importing"
sys.addaudithook(note_network)
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        problems[name] = f"{type(error).__name__}: {error}"
print(json.dumps(problems))
"""


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name, found without importing any of it."""
    found = {}
    for file in sorted(ROOT.joinpath(package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def import_problems(names: list[str], blocked: tuple[str, ...]) -> dict[str, str]:
    """Import in a fresh interpreter where `blocked` cannot be found: name -> error, of those that fail."""
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(blocked), json.dumps(names)],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    problems: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return problems


def imported_names(file: Path, name: str) -> Iterator[str]:
    """Dotted names that a file imports anywhere, in functions too."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


@pytest.mark.slow
@pytest.mark.parametrize(("package", "blocked"), WALLS)
def test_each_side_imports_without_the_other(package: str, blocked: tuple[str, ...]) -> None:
    assert import_problems(list(modules(package)), blocked) == {}


@pytest.mark.parametrize(("package", "blocked"), WALLS)
def test_no_line_imports_the_other_side_not_even_in_a_function(
    package: str, blocked: tuple[str, ...]
) -> None:
    crossings = [
        f"{name} imports {wanted}"
        for name, file in modules(package).items()
        for wanted in imported_names(file, name)
        if any(f"{wanted}.".startswith(f"{item}.") for item in blocked)
    ]
    assert crossings == []


def test_the_wall_stops_what_is_on_the_other_side() -> None:
    error = "ModuleNotFoundError: {} is on the other side of the wall"
    names = ["distill_perception.errors", "json.tool"]
    problems = import_problems(names, ("distill_perception", "json.tool"))
    assert problems == dict(zip(names, map(error.format, ("distill_perception", "json.tool")), strict=True))


def test_relative_and_nested_imports_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("from .. import a\nfrom .b import c\ndef f():\n    import torch.nn\n")
    assert set(imported_names(file, "top.sub.module")) == {"top.a", "top.sub.b.c", "torch.nn"}
