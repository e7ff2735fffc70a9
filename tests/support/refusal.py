"""A command of the offline half that is refused."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from training.cli import main


def refusal(*arguments: object) -> str:
    """What `python -m training` says as it exits with 2; in this process: importing takes seconds."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
        patch.setattr("sys.argv", ["python -m training", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
    assert caught.value.code == 2, said.getvalue()
    return " ".join(said.getvalue().split())
