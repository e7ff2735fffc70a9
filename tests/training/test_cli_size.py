"""Sizes on the command line."""

import pytest

from tests.support.refusal import refusal
from training.cli_size import height_and_width


def test_the_width_comes_first() -> None:
    assert height_and_width("1280x720") == (720, 1280)


@pytest.mark.parametrize(
    "words",
    [
        ("table", "--size"),
        ("adapt", "camvid_lite0", "--out", "x", "--camera"),
        ("synthetic", "--out", "x", "--size"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("size", ["big", "1280", "1280x0"])
def test_every_command_says_what_a_size_is(words: tuple[str, ...], size: str) -> None:
    assert "1280x720" in refusal(*words, size)
