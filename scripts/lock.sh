#!/usr/bin/env bash
# Write the lock files anew (needs uv): one version of everything for each Python from 3.10 to 3.13.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # OUTPUT  INPUT...
  local output=$1
  shift
  uv pip compile --quiet --universal --python-version 3.10 --upgrade --no-annotate --no-header "$@" \
    --output-file "$output"
  sed -i "1i # Written by scripts/lock.sh. pip install -c $output takes from it what it needs." "$output"
}

lock constraints.txt --all-extras setup.py interfaces/requirements.txt scripts/lock.in
# apt's ROS 2 on Ubuntu 22.04 and 24.04 is compiled against NumPy 1, and its messages need that NumPy.
lock constraints-numpy1.txt --extra training --extra tensorrt --extra test --constraint <(echo "numpy<2") setup.py \
  scripts/lock.in
# colcon wants an older setuptools than the others.
lock tests/packaging/colcon-requirements.txt tests/packaging/colcon-requirements.in
