"""Helpers for writing class tables."""

from __future__ import annotations

from collections.abc import Iterable

from distill_perception.manifest import ClassInfo

Color = tuple[int, int, int]


def table(entries: Iterable[tuple[str, Color, bool]]) -> tuple[ClassInfo, ...]:
    """Classes from (name, RGB colour, whether it is a thing), ids in order."""
    return tuple(
        ClassInfo(id=index, name=name, color=color, kind="thing" if thing else "stuff")
        for index, (name, color, thing) in enumerate(entries)
    )


def distinct_color(index: int) -> Color:
    """The colour of PASCAL VOC's colour map at `index` (VOC development kit, VOClabelcolormap.m)."""
    channels = [0, 0, 0]
    for shift in range(8):
        for channel in range(3):
            bit = (index >> (3 * shift + channel)) & 1
            channels[channel] |= bit << (7 - shift)
    return channels[0], channels[1], channels[2]
