"""Generate vision_msgs for machines that have no apt package of it, and install it as a wheel.

    python interfaces/build.py            # into the environment of that python

ROS 2 from wheels has rclpy and the common messages, but not vision_msgs. This script runs the rosidl
generators that built the others in a throw-away environment, packs the runtime results as a wheel, keeps the
wheel under build/, and installs it. Where a vision_msgs is importable already (apt, a sourced workspace)
nothing is done.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib import metadata
from pathlib import Path

from wheel_writer import WheelContent, write_wheel

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
SOURCE = HERE / "vision_msgs"
CONSTRAINTS = REPO / "constraints.txt"
DISTRIBUTION = "ros-vision-msgs"
UPSTREAM_VERSION = "4.1.1"
RUNTIME_SHARE = ("ament_index/resource_index/packages", "ament_index/resource_index/rosidl_interfaces")


class GenerationError(Exception):
    """Says what is missing or what failed, and what to do."""


def input_files() -> list[Path]:
    """Return every file that the generated package depends on."""
    return [
        *sorted(path for path in SOURCE.rglob("*") if path.is_file()),
        *sorted(HERE.glob("*.py")),
        HERE / "requirements.txt",
    ]


def build_version() -> str:
    """Return upstream's version with a hash of the inputs, so that a change of them is a new version."""
    digest = hashlib.sha256()
    for path in input_files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{UPSTREAM_VERSION}+generated.{digest.hexdigest()[:12]}"


def installed_version() -> str | None:
    """Return the version of an earlier result of this script in this environment, None if there is none."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


def importable() -> bool:
    """Tell whether vision_msgs, whoever installed it, works in this python."""
    probe = "from vision_msgs.msg import Detection2DArray; Detection2DArray.__import_type_support__()"
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


def require_compiler() -> None:
    """Raise GenerationError, with the command that helps, where compiler or Python headers are missing."""
    missing = [name for name in ("g++", "make") if shutil.which(name) is None]
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append(f"python{sys.version_info.major}.{sys.version_info.minor}-dev")
    if missing:
        raise GenerationError(
            f"vision_msgs cannot be generated without {', '.join(missing)}; "
            f"install them with: sudo apt-get install {' '.join(missing)}"
        )


def run(command: list[str], env: dict[str, str], log: Path) -> None:
    """Run one step, its output to the log; raise GenerationError with the log's end if it fails."""
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        if subprocess.run(command, env=env, stdout=out, stderr=out, check=False).returncode == 0:
            return
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise GenerationError(f"generating vision_msgs failed at `{' '.join(command[:4])} ...`:\n{tail}")


def clean_environment(prefix: Path) -> dict[str, str]:
    """Return variables with which CMake sees only the environment at `prefix`, whatever was sourced."""
    drop = (
        "AMENT_PREFIX_PATH",
        "CMAKE_PREFIX_PATH",
        "COLCON_PREFIX_PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
    )
    env = {key: value for key, value in os.environ.items() if key not in drop}
    env["PATH"] = f"{prefix / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(prefix)
    env["LD_LIBRARY_PATH"] = str(prefix / "lib")
    env["MAKEFLAGS"] = ""
    return env


def repair_include_folders(prefix: Path, numpy_include: str) -> None:
    """Point the wheels' exported CMake files at this machine's Python and numpy headers.

    They name the folders of the machine that built the wheels: /opt/python/cpXY-cpXY/...
    """
    python_include = sysconfig.get_path("include")
    for path in prefix.glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        fixed = re.sub(r"/opt/python/[^;\"]*/numpy/(?:_core|core)/include", numpy_include, text)
        fixed = re.sub(r"/opt/python/[^;\"]*/include/python3[^;\"/]*", python_include, fixed)
        if fixed != text:
            path.write_text(fixed, encoding="utf-8")


def compile_messages(work: Path) -> Path:
    """Run generators and compiler below `work`; return the folder of an ament install of vision_msgs."""
    prefix, log = work / "env", work / "log.txt"
    venv.create(prefix, with_pip=True, symlinks=True)
    python = str(prefix / "bin" / "python")
    env = clean_environment(prefix)
    requirements = ["-r", str(HERE / "requirements.txt"), "-c", str(CONSTRAINTS)]
    run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *requirements], env, log)
    query = [python, "-c", "import numpy; print(numpy.get_include())"]
    numpy_include = subprocess.run(query, env=env, capture_output=True, text=True, check=True).stdout.strip()
    repair_include_folders(prefix, numpy_include)

    build, install = work / "build", work / "install"
    options = {
        "CMAKE_INSTALL_PREFIX": str(install),
        "CMAKE_BUILD_TYPE": "MinSizeRel",
        "BUILD_TESTING": "OFF",
        "Python3_EXECUTABLE": python,
    }
    definitions = [f"-D{key}={value}" for key, value in options.items()]
    run(["cmake", "-G", "Unix Makefiles", "-S", str(SOURCE), "-B", str(build), *definitions], env, log)
    run(
        ["cmake", "--build", str(build), "--parallel", str(os.cpu_count() or 1), "--target", "install"],
        env,
        log,
    )
    return install


def runtime_content(install: Path) -> WheelContent:
    """Choose from an ament install what Python needs at run time: no headers, sources or CMake files."""
    (site_packages,) = install.glob("lib/python*/site-packages")
    package = [p for p in (site_packages / "vision_msgs").rglob("*") if p.suffix in (".py", ".so")]
    libraries = install.glob("lib/lib*.so")
    share = [p for folder in RUNTIME_SHARE for p in (install / "share" / folder).iterdir()]
    share += (install / "share/vision_msgs/msg").iterdir()
    share.append(install / "share/vision_msgs/package.xml")
    return WheelContent(
        package={str(p.relative_to(site_packages)): p for p in package},
        data={str(p.relative_to(install)): p for p in (*libraries, *share)},
    )


def built_wheel(cache: Path) -> Path:
    """Return the wheel of this version for this python, from `cache` if it is there, else generate it."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    wheel = cache / f"{DISTRIBUTION.replace('-', '_')}-{build_version()}-{tag}-{tag}-{platform}.whl"
    if wheel.is_file():
        return wheel
    require_compiler()
    print("    generating vision_msgs from interfaces/ (under a minute, once) ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="vision_msgs_") as folder:
        install = compile_messages(Path(folder))
        cache.mkdir(parents=True, exist_ok=True)
        write_wheel(wheel, runtime_content(install))
    return wheel


def main() -> int:
    """Generate and install unless there is nothing to do."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cache", type=Path, default=REPO / "build" / "wheels", help="where finished wheels are kept"
    )
    args = parser.parse_args()
    installed = installed_version()
    if installed == build_version() and importable():
        return 0
    if installed is None and importable():
        print("    vision_msgs is installed already; nothing to generate")
        return 0
    try:
        wheel = built_wheel(args.cache)
    except GenerationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, "--force-reinstall", str(wheel)], check=True)
    if not importable():
        print(
            "error: the generated vision_msgs does not import; is rclpy (extra `ros`) installed?",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
