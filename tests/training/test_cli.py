"""What the command says at its edge."""

from __future__ import annotations

import errno
import os

import pytest

from tests.support.refusal import refusal


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device; make room, or choose"),
        (OSError(errno.ENOSPC, "full", "runs/x"), "runs/x: full; make room, or choose another --out"),
        (OSError(errno.ENOSPC, "full", "/tmp/part", None, "runs/x/whole"), "runs/x/whole: full; make room"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.yaml"), "a.yaml: No such file"),
        (OSError("cannot identify image"), "cannot identify image"),
    ],
)
def test_the_systems_errors_are_its_words_and_a_remedy(
    error: OSError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("training.evaluate.evaluate_run", fails)
    told = refusal("evaluate", "runs/x")
    assert told.startswith(f"error: {said}")
    assert "Errno" not in told
