#!/usr/bin/env bash
# Make .venv ready: scripts/setup.sh demo (what the node and replay need) or test (that, training and tests too).
# A second run with nothing changed returns at once. PYTHON=python3.12 chooses .venv's interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/machine.sh

profile=${1:-demo}
case $profile in
  demo) extras="" ;;
  test) extras="training,tensorrt,test" ;;
  *) fail "unknown set-up '$profile'; choose demo or test" ;;
esac

if [ -x .venv/bin/python ]; then check_venv; fi

inputs=(setup.py setup.cfg pyproject.toml constraints.txt constraints-numpy1.txt scripts/setup.sh scripts/machine.sh)
stamp=$(cat "${inputs[@]}" interfaces/*.* interfaces/vision_msgs/msg/* | sha256sum | cut -c1-16)
stamp_of() { cat ".venv/.ready-$1" 2>/dev/null || true; }
if [ -x .venv/bin/python ]; then
  if [ "$(stamp_of "$profile")" = "$stamp" ] || [ "$(stamp_of test)" = "$stamp" ]; then exit 0; fi
fi

started=$SECONDS
if [ ! -x .venv/bin/python ]; then
  python=$(choose_python)
  ros_setup=$(find_apt_ros "$python")
  require_system_packages "$python" "$ros_setup"
  trap 'rm -rf .venv' EXIT # interrupted, half a .venv would be taken for a whole one
  if [ -n "$ros_setup" ]; then
    say "Creating .venv on $("$python" --version) with ROS 2 from $ros_setup"
    "$python" -m venv --system-site-packages .venv
    echo "$ros_setup" > .venv/ros_setup
  else
    say "Creating .venv on $("$python" --version)"
    "$python" -m venv .venv
  fi
  trap - EXIT
fi

constraints=constraints.txt
if [ -f .venv/ros_setup ]; then
  source_ros "$(cat .venv/ros_setup)"
  if ! .venv/bin/python -c "import vision_msgs.msg" 2>/dev/null; then
    apt_install "ros-$ROS_DISTRO-vision-msgs"
  fi
  # Asked of the system's python: an earlier set-up may have put another NumPy into .venv.
  if "$(readlink -f .venv/bin/python)" -c "import numpy, sys; sys.exit(int(numpy.__version__[0]) > 1)" 2>/dev/null; then
    constraints=constraints-numpy1.txt
  fi
else
  extras="ros${extras:+,$extras}"
fi

pip=(.venv/bin/python -m pip install -qq --disable-pip-version-check -c "$constraints")
say "Installing${extras:+ with extras $extras} ($([ "$profile" = test ] && echo 'PyTorch included, ')versions from $constraints)"
"${pip[@]}" pip setuptools wheel
"${pip[@]}" --no-build-isolation -e ".${extras:+[$extras]}"
if [ ! -f .venv/ros_setup ]; then
  say "Message definitions (vision_msgs)"
  .venv/bin/python interfaces/build.py
fi
echo "$stamp" > ".venv/.ready-$profile"
say "Set-up done in $((SECONDS - started)) s"
