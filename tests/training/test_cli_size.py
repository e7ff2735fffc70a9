"""Sizes on the command line."""

import pytest
import typer

from distill_perception.manifest import InputSpec
from tests.support.refusal import refusal
from training.cli_size import MAX_SIDE, METAVAR, height_and_width


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
@pytest.mark.parametrize("size", ["big", "1280", "1280x0", "99999x99999"])
def test_every_command_says_what_a_size_is(words: tuple[str, ...], size: str) -> None:
    said = refusal(*words, size)
    assert "1280x720" in said
    assert f"Invalid value for {METAVAR}: '{size}'" in said


def test_the_largest_size_is_a_bundles() -> None:
    assert height_and_width(f"{MAX_SIDE}x1") == (1, MAX_SIDE)
    InputSpec(height=1, width=MAX_SIDE)
    with pytest.raises(ValueError, match=f"less than or equal to {MAX_SIDE}"):
        InputSpec(height=1, width=MAX_SIDE + 1)
    with pytest.raises(typer.BadParameter, match=f"'{MAX_SIDE + 1}x1' is too large: .* {MAX_SIDE} pixels"):
        height_and_width(f"{MAX_SIDE + 1}x1")
