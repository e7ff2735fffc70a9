"""A command of the offline half."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

import pytest

from training.cli import main


class Done(NamedTuple):
    """A command that has ended."""

    code: object
    out: str
    err: str


def training_command(*arguments: object) -> Done:
    """`distill-perception-train` in this process: importing torch and Lightning anew takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["distill-perception-train", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
    return Done(caught.value.code, out.getvalue(), err.getvalue())
