"""The README's numbers are the recorded ones, not typed ones."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_generated_blocks_are_up_to_date() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "readme_numbers.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
