"""What stands before the code: make targets, the set-up scripts, what they say when something is missing."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SCRIPTS = REPO / "scripts"


def shell(command, cwd=REPO, **variables):
    """Run bash with machine.sh's functions and only the variables given (and PATH)."""
    environment = {"PATH": os.environ["PATH"], **variables}
    script = f"set -euo pipefail; source {SCRIPTS / 'machine.sh'}; {command}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("target", ["demo", "test", "lint", "setup", "clean"])
def test_make_without_a_target_lists_what_there_is(target):
    done = subprocess.run(["make"], cwd=REPO, capture_output=True, text=True, timeout=60, check=True)
    assert re.search(rf"^ *make {target} +\S", done.stdout, re.MULTILINE)


def test_ci_runs_what_a_contributor_runs():
    script = REPO / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "\nmake test\n" in script.read_text()


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.sh")))
def test_the_shell_scripts_parse(script):
    subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=True, timeout=60)


def test_a_python_that_is_too_old_is_refused_with_the_range(tmp_path):
    old = executable(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    done = shell("choose_python", PYTHON=str(old))
    assert done.returncode == 1
    assert "3.10 to 3.13" in done.stderr


def test_without_any_right_python_the_apt_command_is_said(tmp_path):
    for name in ("python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        executable(tmp_path / name, "#!/bin/sh\nexit 1\n")
    done = shell("choose_python", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "apt-get install python3.12" in done.stderr


def test_a_newer_python3_gives_way_to_one_in_range(tmp_path):
    executable(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    executable(tmp_path / "python3.13", "#!/bin/sh\nexit 1\n")
    executable(tmp_path / "python3.12", "#!/bin/sh\nexit 0\n")
    done = shell("choose_python", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.stdout.strip() == "python3.12"


def test_without_root_a_missing_package_gives_the_command_for_it(tmp_path):
    executable(tmp_path / "apt-get", "#!/bin/sh\necho called >&2\n")
    executable(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    done = shell("apt_install python3.11-venv g++", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends python3.11-venv g++" in done.stderr
    assert "called" not in done.stderr


def test_root_gets_missing_packages_installed(tmp_path):
    log = tmp_path / "log"
    executable(tmp_path / "apt-get", f'#!/bin/sh\necho "$@" >> {log}\n')
    executable(tmp_path / "id", "#!/bin/sh\necho 0\n")
    done = shell("apt_install g++", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines() == ["update -qq", "install -y --no-install-recommends g++ -qq"]


def test_a_compiler_is_asked_for_only_where_vision_msgs_must_be_generated(tmp_path):
    executable(tmp_path / "apt-get", "#!/bin/sh\n")
    executable(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    for name in ("bash", "python3"):
        (tmp_path / name).symlink_to(sys.executable if name == "python3" else "/bin/bash")
    with_ros = shell("require_system_packages python3 /opt/ros/jazzy/setup.bash", PATH=str(tmp_path))
    without = shell("require_system_packages python3 ''", PATH=str(tmp_path))
    assert with_ros.returncode == 0, with_ros.stderr
    assert without.returncode == 1
    assert "g++ make" in without.stderr


def test_ros_2_from_apt_is_found_where_its_rclpy_imports(tmp_path):
    broken, working = tmp_path / "humble", tmp_path / "jazzy"
    (working / "site" / "rclpy").mkdir(parents=True)
    (working / "site" / "rclpy" / "__init__.py").touch()
    (working / "setup.bash").write_text(f"export PYTHONPATH={working / 'site'}; : $UNSET_VARIABLE\n")
    broken.mkdir()
    (broken / "setup.bash").write_text("export PYTHONPATH=/nowhere\n")
    python = executable(tmp_path / "bare_python", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    done = shell(f"find_apt_ros {python}", ROS_ROOT=str(tmp_path))
    assert done.stdout.strip() == str(working / "setup.bash")


def set_up(folder, **variables):
    """Run set-up in a folder whose .venv is that of this Python."""
    shutil.copytree(SCRIPTS, folder / "scripts", dirs_exist_ok=True)
    executable(folder / ".venv" / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    return shell("scripts/setup.sh demo", cwd=folder, **variables)


def test_another_python_than_that_of_the_venv_is_refused(tmp_path):
    other = executable(tmp_path / "other", '#!/bin/sh\ncase "$2" in *print*) echo python3.99 ;; esac\n')
    done = set_up(tmp_path, PYTHON=str(other))
    own = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert done.returncode == 1
    assert done.stderr == f"error: .venv has {own}, PYTHON={other} is python3.99; run `make clean` first\n"
    again = set_up(tmp_path, PYTHON=sys.executable)
    assert "make clean" not in again.stderr


def test_a_ros_2_that_was_installed_after_the_venv_is_not_passed_over(tmp_path):
    (tmp_path / "ros" / "jazzy" / "rclpy").mkdir(parents=True)
    (tmp_path / "ros" / "jazzy" / "rclpy" / "__init__.py").touch()
    setup = tmp_path / "ros" / "jazzy" / "setup.bash"
    setup.write_text(f"export PYTHONPATH={setup.parent}\n")
    done = set_up(tmp_path, ROS_ROOT=str(tmp_path / "ros"))
    assert done.returncode == 1
    assert re.fullmatch(
        r"error: \.venv has python3\.\d+ without the ROS 2 that is installed now \(.*/jazzy/setup\.bash\); "
        r"run `make clean` first\n",
        done.stderr,
    )
    (tmp_path / ".venv" / "ros_setup").write_text(f"{setup}\n")
    assert "make clean" not in set_up(tmp_path, ROS_ROOT=str(tmp_path / "ros")).stderr


def test_a_second_set_up_returns_at_once_and_says_nothing():
    if not any((REPO / ".venv" / name).is_file() for name in (".ready-demo", ".ready-test")):
        pytest.skip("LOUD: .venv was not made by scripts/setup.sh here")
    done = subprocess.run(
        [str(SCRIPTS / "setup.sh"), "demo"], cwd=REPO, capture_output=True, text=True, timeout=5, check=True
    )
    assert done.stdout == ""


def test_every_locked_version_is_pinned_for_every_python():
    for line in (REPO / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.match(r"[a-z0-9._-]+==[^ ]+( ; .+)?$", line), line
