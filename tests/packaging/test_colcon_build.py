"""`colcon build` puts everything where `ros2 run`, `ros2 launch` and the program itself look for it.

colcon lives in an environment of its own, `.venv-colcon`: it wants an older setuptools than the other tools.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("colcon-requirements.txt")
PACKAGE = "distill_perception"


def run(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


@pytest.fixture(scope="session")
def colcon():
    """The colcon command, from PATH on a ROS machine, else from an environment that is made once."""
    if shutil.which("colcon"):
        return shutil.which("colcon")
    env = REPO / ".venv-colcon"
    ready = env / f".ready-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    if not ready.is_file():
        run([sys.executable, "-m", "venv", "--clear", str(env)])
        run([str(env / "bin/pip"), "install", "-qq", "--disable-pip-version-check", "-r", str(REQUIREMENTS)])
        ready.touch()
    return str(env / "bin/colcon")


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of what git tracks or would track, so that a build cannot leave files in the checkout."""
    target = tmp_path_factory.mktemp("workspace") / "src" / PACKAGE
    listing = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPO)
    for name in filter(None, listing.split("\0")):
        if (REPO / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target / name)
    return target


@pytest.fixture(scope="session", params=["copied", "symlinked"])
def prefix(request, colcon, source, tmp_path_factory):
    """The package's install prefix after `colcon build`, once with and once without --symlink-install."""
    base = tmp_path_factory.mktemp(request.param)
    command = [colcon, "build", "--base-paths", str(source), "--build-base", str(base / "build")]
    command += ["--install-base", str(base / "install"), "--packages-select", PACKAGE]
    command += ["--symlink-install"] if request.param == "symlinked" else []
    keep = ("PATH", "HOME", "LANG")
    environment = {key: os.environ[key] for key in keep if key in os.environ}
    environment["PATH"] = f"{Path(colcon).parent}{os.pathsep}{environment['PATH']}"
    run(command, cwd=base, env=environment)
    return base / "install" / PACKAGE


def shipped(folder):
    return [path.relative_to(REPO) for path in (REPO / folder).rglob("*") if path.is_file()]


def test_ros2_run_finds_the_executables(prefix):
    for name in ("perception_node", "distill-perception", "distill-perception-train"):
        script = prefix / "lib" / PACKAGE / name
        assert script.is_file()
        assert os.access(script, os.X_OK)


def test_the_ament_index_knows_the_package(prefix):
    assert (prefix / "share/ament_index/resource_index/packages" / PACKAGE).is_file()
    assert (prefix / "share" / PACKAGE / "package.xml").is_file()


@pytest.mark.parametrize("folder", ["launch", "config", "models", "interfaces/vision_msgs"])
def test_shipped_files_are_in_the_share_folder(prefix, folder):
    files = [path for path in shipped(folder) if "__pycache__" not in path.parts]
    if folder == "launch":
        assert Path("launch/perception.launch.py") in files
    for path in files:
        installed = prefix / "share" / PACKAGE / path
        assert installed.is_file()
        assert installed.read_bytes() == (REPO / path).read_bytes()


def environment(prefix):
    """As `source install/setup.bash` leaves it."""
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    pythonpath = [
        str(site_packages),
        str(prefix.parents[1] / "build" / PACKAGE),
        os.environ.get("PYTHONPATH"),
    ]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, pythonpath)),
        "AMENT_PREFIX_PATH": str(prefix),
    }


def test_the_installed_command_runs_and_finds_its_data(prefix):
    script = str(prefix / "lib" / PACKAGE / "distill-perception")
    run([sys.executable, script, "--help"], cwd=prefix, env=environment(prefix))
    probe = "from distill_perception.share import share_path; print(share_path('config', 'perception.yaml'))"
    found = Path(run([sys.executable, "-c", probe], cwd=prefix, env=environment(prefix)).strip())
    # Linked installs run from the sources, whose data are beside them.
    assert found.resolve().name == "perception.yaml"
    assert REPO not in found.resolve().parents


def test_the_installed_node_runs_and_knows_the_installed_bundles(prefix):
    node = str(prefix / "lib" / PACKAGE / "perception_node")
    line = [sys.executable, node, "--ros-args", "-p", "bundle:=typo"]
    done = subprocess.run(
        line, cwd=prefix, env=environment(prefix), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "bundle 'typo': no such folder, and not an installed bundle; installed: camvid_lite0" in said
