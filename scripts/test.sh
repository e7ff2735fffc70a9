#!/usr/bin/env bash
# All tests, or those that pytest's arguments choose: scripts/test.sh -k latest; scripts/test.sh tests/ros
# Those of the offline half share out the cores; the others talk over DDS and time what they see, one after another.
set -uo pipefail
cd "$(dirname "$0")/.."
offline=(tests/training tests/compare tests/vision)
nothing=5 # pytest's exit status where no test was chosen

for argument in "$@"; do
  if [ -e "${argument%%::*}" ]; then exec python -m pytest "$@"; fi
done
python -m pytest -n auto --dist loadfile "${offline[@]}" "$@"
first=$?
python -m pytest tests "${offline[@]/#/--ignore=}" "$@"
second=$?
[ $first -eq $nothing ] && exit $second
[ $second -eq $nothing ] && exit $first
exit $((first > second ? first : second))
