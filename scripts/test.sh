#!/usr/bin/env bash
# All tests, or those that pytest's arguments choose: scripts/test.sh -k latest; scripts/test.sh tests/ros
# Most share out the cores; those that talk over DDS or time what they see run one after another.
set -uo pipefail
cd "$(dirname "$0")/.."
in_turn=(tests/replay tests/ros tests/test_cli.py tests/test_training_half.py)
nothing=5 # pytest's exit status where no test was chosen

for argument in "$@"; do
  if [ -e "${argument%%::*}" ]; then exec python -m pytest "$@"; fi
done
python -m pytest -n auto --dist loadfile tests "${in_turn[@]/#/--ignore=}" "$@"
first=$?
python -m pytest "${in_turn[@]}" "$@"
second=$?
[ $first -eq $nothing ] && exit $second
[ $second -eq $nothing ] && exit $first
exit $((first > second ? first : second))
