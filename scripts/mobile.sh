#!/usr/bin/env bash
# ExecuTorch and LiteRT, which are large and outside the lock, in .venv-mobile; then the tests of their exports.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/machine.sh

packages=("$(grep -m1 '^torch==' constraints.txt)" executorch==1.5.1 litert-torch==0.10.0)
ready=.venv-mobile/.ready
stamp=$(cat setup.py constraints.txt scripts/mobile.sh | sha256sum | cut -c1-16)
if [ "$(cat $ready 2>/dev/null || true)" != "$stamp" ]; then
  say "Creating .venv-mobile with ${packages[*]} (about 3 GB)"
  "$(choose_python)" -m venv --clear .venv-mobile
  .venv-mobile/bin/pip install -qq --disable-pip-version-check "${packages[@]}"
  .venv-mobile/bin/pip install -qq --disable-pip-version-check -e '.[training,test]' "${packages[0]}"
  echo "$stamp" > $ready
fi
exec .venv-mobile/bin/python -m pytest tests/training/export/test_mobile.py "$@"
