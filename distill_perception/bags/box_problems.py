"""Labelled boxes in which nothing can ever be found, and which would count as a miss or teach what is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def box_problem(corners: Iterable[float], size: tuple[int, int] | None) -> str:
    """What is wrong with a box x1,y1,x2,y2 in an image of this height and width (None: unknown), or ''."""
    x1, y1, x2, y2 = corners
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return "is not of finite numbers"
    if x2 <= x1 or y2 <= y1:
        return "has no width or height"
    if size and (x2 <= 0 or y2 <= 0 or x1 >= size[1] or y1 >= size[0]):
        return f"lies wholly outside its {size[1]}x{size[0]} image"
    return ""


def annotation_problem(annotation: Mapping[str, Any], picture: Mapping[str, Any]) -> str:
    """What is wrong with the box of a COCO annotation, with both their names; empty if nothing is.

    Raises:
        TypeError, KeyError, ValueError, OverflowError: the entries are not of COCO's form.
    """
    x, y, width, height = (float(value) for value in annotation["bbox"])
    known = "height" in picture and "width" in picture
    size = (int(picture["height"]), int(picture["width"])) if known else None
    problem = box_problem((x, y, x + width, y + height), size)
    if not problem:
        return ""
    box = ", ".join(f"{value:g}" for value in (x, y, width, height))
    return f"annotation {annotation.get('id')} of {picture['file_name']}: its bbox [{box}] {problem}"
