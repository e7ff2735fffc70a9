#!/usr/bin/env bash
# All tests, or those that pytest's arguments choose: scripts/test.sh -k latest; scripts/test.sh tests/ros
# Most share out the cores; those that talk over DDS or time what they see run one after another.
set -uo pipefail
cd "$(dirname "$0")/.."
shared=" $(echo \
  tests/replay/test_{bag_reader,bag_writer,evaluation,labelled_folder,ledger,recorded_image,report,run}.py \
  tests/ros/test_{diagnostics,messages,parameters}.py) " # these start no node and look at no clock
in_turn=()
for file in tests/replay/test_*.py tests/ros/test_*.py tests/test_training_half.py; do
  [[ $shared == *" $file "* ]] || in_turn+=("$file")
done
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
