"""What a command's terminal shows of warnings."""

from __future__ import annotations

import warnings

import pytest

from training.errors import TrainingWarning
from training.quiet import quiet_libraries


def test_our_own_warnings_are_their_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: print(f"Python shows: {message}")
        quiet_libraries()
        warnings.warn("'b' teaches nothing", TrainingWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    shown = capsys.readouterr()
    assert shown.err == "warning: 'b' teaches nothing\n"
    assert shown.out == "Python shows: of a library\n"


def test_tests_still_see_them() -> None:
    quiet_libraries()
    with pytest.warns(TrainingWarning, match="teaches nothing"):
        warnings.warn("it teaches nothing", TrainingWarning, stacklevel=1)
