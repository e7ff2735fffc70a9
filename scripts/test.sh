#!/usr/bin/env bash
# All tests, or those that pytest's arguments choose: scripts/test.sh -k latest; scripts/test.sh tests/ros
# Most share out the cores. Those that start nodes mostly wait: four at a time, apart from what computes. Those that
# hold a node to a camera's rate run one after another. A worker that crashes, or hangs until pyproject.toml's time for
# a test is over, ends the run: xdist 3.8 may wait for ever for the one in its place.
set -uo pipefail
cd "$(dirname "$0")/.."
computing=" $(echo \
  tests/replay/test_{charts,evaluation,examples,label_checks,ledger,report_page,run,topics}.py \
  tests/ros/test_{diagnostics,messages,parameters}.py) "
timed=" $(echo \
  tests/replay/test_{camvid_val,replay,shipped_students}.py \
  tests/ros/test_node_counts.py) "
waiting=() in_turn=()
for file in tests/replay/test_*.py tests/ros/test_*.py tests/test_training_half.py; do
  case "$computing" in *" $file "*) continue ;; esac
  case "$timed" in *" $file "*) in_turn+=("$file") ;; *) waiting+=("$file") ;; esac
done
nothing=5 # pytest's exit status where no test was chosen

for argument in "$@"; do
  if [ -e "${argument%%::*}" ]; then exec python -m pytest "$@"; fi
done
status=$nothing
run() {
  python -m pytest "$@"
  local own=$?
  [ $own -ne 2 ] || exit 2 # Ctrl-C
  if [ $status -eq $nothing ] || { [ $own -ne $nothing ] && [ $own -gt $status ]; }; then status=$own; fi
}
run -n auto --max-worker-restart 0 --dist loadfile --no-loadscope-reorder tests "${waiting[@]/#/--ignore=}" "${in_turn[@]/#/--ignore=}" "$@"
run -n 4 --max-worker-restart 0 --dist loadfile "${waiting[@]}" "$@"
run "${in_turn[@]}" "$@"
exit $status
