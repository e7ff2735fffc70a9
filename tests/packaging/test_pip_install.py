"""`pip install .` and `pip install -e .` give the packages, the commands and the data."""

import subprocess
import sys
from pathlib import Path

import pytest
import setuptools

REPO = Path(__file__).parents[2]


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The checkout as a tracked-files copy: pip builds in the source folder."""
    target = tmp_path_factory.mktemp("sources") / "distill_perception"
    target.mkdir()
    listing = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPO)
    names = [name for name in listing.split("\0") if name and (REPO / name).is_file()]
    archive = run_bytes(["tar", "-C", str(REPO), "-c", *names])
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True, timeout=60)
    return target


def run_bytes(command):
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def install(sources, prefix, *options):
    """Install without dependencies into a bare environment at `prefix`; return its python."""
    run([sys.executable, "-m", "venv", "--without-pip", str(prefix)])
    python = prefix / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps"]
    # It borrows what the project depends on, and setuptools for the build, from the environment of this test.
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(f"{Path(setuptools.__file__).parents[1]}\n")
    run([*command, "--no-build-isolation", *options, str(sources)])
    return python


@pytest.fixture(scope="session", params=["plain", "editable"])
def installed(request, sources, tmp_path_factory):
    prefix = tmp_path_factory.mktemp(request.param) / "env"
    return prefix, install(sources, prefix, *(["-e"] if request.param == "editable" else []))


def test_the_commands_are_installed(installed):
    prefix, _ = installed
    for name in ("perception_node", "distill-perception", "distill-perception-train"):
        assert (prefix / "bin" / name).is_file()
    run([str(prefix / "bin" / "distill-perception"), "--help"], cwd=prefix)


def test_both_packages_import_from_the_installation(installed):
    prefix, python = installed
    probe = "import distill_perception, training; print(distill_perception.__file__, training.__file__)"
    for path in run([str(python), "-c", probe], cwd=prefix).split():
        assert REPO not in Path(path).parents


@pytest.mark.parametrize("file", ["config/perception.yaml", "launch/perception.launch.py", "package.xml"])
def test_data_are_found(installed, file):
    prefix, python = installed
    probe = f"from distill_perception.share import share_path; print(share_path({file!r}).read_text())"
    assert run([str(python), "-c", probe], cwd=prefix).strip() == (REPO / file).read_text().strip()


def test_the_recipes_travel_with_the_training_package(installed):
    prefix, python = installed
    probe = "import training; print(training.__file__)"
    package = Path(run([str(python), "-c", probe], cwd=prefix).strip()).parent
    recipes = {path.name for path in (REPO / "training/recipes").glob("*.yaml")}
    assert {path.name for path in (package / "recipes").glob("*.yaml")} == recipes
