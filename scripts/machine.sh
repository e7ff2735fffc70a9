# Functions that look at the machine: which Python, which ROS 2, which system packages. Sourced by setup.sh.

say() { echo "==> $*"; }
fail() {
  echo "error: $*" >&2
  exit 1
}

in_range() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; }

version_of() { "$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }

# Print the interpreter to use: $PYTHON, else python3, else the newest python3.X in range.
choose_python() {
  local candidate
  if [ -n "${PYTHON:-}" ]; then
    in_range "$PYTHON" || fail "PYTHON=$PYTHON is not a Python from 3.10 to 3.13"
    echo "$PYTHON"
    return
  fi
  for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
    if in_range "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python from 3.10 to 3.13 found ($(python3 --version 2>&1 || echo no python3));" \
    "install one (for example: sudo apt-get install python3.12 python3.12-venv python3.12-dev) or say PYTHON=/path/to/python"
}

# Set up a sourced ROS 2; its scripts use unset variables.
source_ros() {
  set +u
  source "$1"
  set -u
}

# Print the setup.bash of an installed ROS 2 that works with interpreter $1, nothing if there is none.
find_apt_ros() {
  local candidate
  for candidate in ${ROS_DISTRO:+"${ROS_ROOT:-/opt/ros}/$ROS_DISTRO/setup.bash"} "${ROS_ROOT:-/opt/ros}"/*/setup.bash; do
    if [ -f "$candidate" ] && (source_ros "$candidate" && "$1" -c "import rclpy") >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
}

# Refuse a .venv that was made with another Python than $PYTHON, or before the ROS 2 that is installed now.
check_venv() {
  local has python ros_setup
  has=$(version_of .venv/bin/python)
  if [ -n "${PYTHON:-}" ]; then
    python=$(choose_python)
    [ "$(version_of "$python")" = "$has" ] ||
      fail ".venv has $has, PYTHON=$PYTHON is $(version_of "$python"); run \`make clean\` first"
  fi
  if [ ! -f .venv/ros_setup ]; then
    ros_setup=$(find_apt_ros "$(readlink -f .venv/bin/python)")
    [ -z "$ros_setup" ] ||
      fail ".venv has $has without the ROS 2 that is installed now ($ros_setup); run \`make clean\` first"
  fi
}

# Install Debian packages where we may, else say the command.
apt_install() {
  local command="apt-get install -y --no-install-recommends $*"
  if ! command -v apt-get >/dev/null; then
    fail "missing on this machine: $* (Debian's names; install your system's packages of the same content)"
  elif [ "$(id -u)" = 0 ]; then
    say "Installing system packages: $*"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command -qq; } >/dev/null ||
      fail "'$command' failed; run it by hand to see why"
  else
    fail "missing on this machine: $*. Install with: sudo ${command/ -y/}"
  fi
}

# Check for what no wheel brings: venv itself, and (where vision_msgs must be generated) a C++ compiler and headers.
require_system_packages() {
  local python=$1 ros_setup=$2 version missing=()
  version=$(version_of "$python")
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=("$version-venv")
  if [ -z "$ros_setup" ]; then
    "$python" -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' ||
      missing+=("$version-dev")
    command -v g++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
  fi
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}
