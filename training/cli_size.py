"""Sizes of pictures on the command line: WIDTHxHEIGHT, as makers of cameras give them."""

from __future__ import annotations

import re

import typer

METAVAR = "WIDTHxHEIGHT"
MAX_SIDE = 16384  # of a bundle's input


def height_and_width(text: str) -> tuple[int, int]:
    """The two in the order of arrays.

    Raises:
        BadParameter: it is no size, or too large.
    """
    match = re.fullmatch("([1-9][0-9]{0,9})x([1-9][0-9]{0,9})", text.lower())
    if match is None:
        raise _bad(f"'{text}' is no size: give {METAVAR} in pixels, for example 1280x720")
    width, height = int(match[1]), int(match[2])
    if max(width, height) > MAX_SIDE:
        raise _bad(f"'{text}' is too large: give at most {MAX_SIDE} pixels a side, for example 1280x720")
    return height, width


def _bad(text: str) -> typer.BadParameter:
    """Each command has one option of this metavar, by which it is found in the help."""
    return typer.BadParameter(text, param_hint=METAVAR)
