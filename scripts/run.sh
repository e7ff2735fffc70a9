#!/usr/bin/env bash
# Run a command in .venv, with ROS 2 sourced where it comes from apt: scripts/run.sh pytest tests/ros
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$root/.venv/bin/python" ] || { echo "error: no .venv yet; run: make setup" >&2; exit 1; }
if [ -f "$root/.venv/ros_setup" ]; then
  set +u
  source "$(cat "$root/.venv/ros_setup")"
  set -u
fi
export PATH="$root/.venv/bin:$PATH"
exec "$@"
