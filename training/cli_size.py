"""Sizes of pictures on the command line: WIDTHxHEIGHT, as makers of cameras give them."""

from __future__ import annotations

import re

import typer

METAVAR = "WIDTHxHEIGHT"


def height_and_width(text: str) -> tuple[int, int]:
    """The two in the order of arrays.

    Raises:
        BadParameter: it is no size.
    """
    match = re.fullmatch("([1-9][0-9]*)x([1-9][0-9]*)", text.lower())
    if match is None:
        raise typer.BadParameter(f"'{text}' is no size: give {METAVAR} in pixels, for example 1280x720")
    return int(match[2]), int(match[1])
