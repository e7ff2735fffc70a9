"""Pictures for people: the mask blended over the camera picture, boxes, and a legend."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from ..manifest import ClassInfo
from .boxes import Detection
from .palette import colorize, palette_of

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(
    picture: NDArray[np.uint8],
    classes: Sequence[ClassInfo],
    mask: NDArray[np.uint8] | None = None,
    detections: Sequence[Detection] = (),
    alpha: float = 0.5,
    legend: bool = False,
) -> NDArray[np.uint8]:
    """Draw what was perceived over a picture; the picture itself is not changed.

    Args:
        picture: uint8 [H,W,3] RGB.
        classes: the bundle's classes; their colours are RGB.
        mask: uint8 [h,w] class ids, resized to the picture (nearest) where it differs. Ids that are no class
            (void) leave the picture as it is.
        detections: boxes in the picture's pixels.
        alpha: share of the mask's colour, 0..1.
        legend: list the classes that are in the mask or the detections in the upper left corner.

    Returns:
        A new array uint8 [H,W,3] RGB.
    """
    result = picture.copy() if mask is None else blend(picture, mask, classes, alpha)
    if legend:
        present = {item.label for item in detections}
        if mask is not None:
            present |= set(np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist())
        draw_legend(result, [item for item in classes if item.id in present])
    draw_boxes(result, detections, classes)  # over the legend: what was found in that corner is seen
    return result


def blend(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], classes: Sequence[ClassInfo], alpha: float = 0.5
) -> NDArray[np.uint8]:
    """Mix the classes' colours into RGB uint8 [H,W,3]; void pixels stay as they are."""
    height, width = picture.shape[:2]
    if mask.shape != (height, width):
        fitted = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        mask = cast(NDArray[np.uint8], fitted)
    mixed = cv2.addWeighted(picture, 1.0 - alpha, colorize(mask, palette_of(classes)), alpha, 0.0)
    _, void = cv2.threshold(mask, len(classes) - 1, 255, cv2.THRESH_BINARY)
    if cv2.countNonZero(void):
        mixed = cv2.copyTo(picture, void, mixed)
    return cast(NDArray[np.uint8], mixed)


def draw_boxes(
    picture: NDArray[np.uint8], detections: Sequence[Detection], classes: Sequence[ClassInfo]
) -> None:
    """Draw boxes with name and score into RGB uint8 [H,W,3], in place; the best box is drawn last, on top.

    A name that would cover that of a better box is left out: the box's colour tells its class.
    """
    scale, line = _sizes(picture)
    for item in reversed(detections):
        x1, y1, x2, y2 = (round(value) for value in item.box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), classes[item.label].color, line + 1)
    taken: list[tuple[int, int, int, int]] = []
    for item in detections:
        info = classes[item.label]
        text = f"{info.name} {item.score:.2f}"
        (width, height), below = cv2.getTextSize(text, _FONT, scale, line)
        left = max(0, min(round(item.box[0]), picture.shape[1] - width))
        top = max(0, round(item.box[1]) - height - below)
        right, bottom = left + width, top + height + below
        if any(left <= x2 and x1 <= right and top <= y2 and y1 <= bottom for x1, y1, x2, y2 in taken):
            continue
        taken.append((left, top, right, bottom))
        cv2.rectangle(picture, (left, top), (right, bottom), info.color, cv2.FILLED)
        cv2.putText(picture, text, (left, top + height), _FONT, scale, _ink(info.color), line, cv2.LINE_AA)


def draw_legend(picture: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> None:
    """List classes with their colours in the upper left corner of RGB uint8 [H,W,3], in place."""
    if not classes:
        return
    scale, line = _sizes(picture)
    sizes = [cv2.getTextSize(item.name, _FONT, scale, line)[0] for item in classes]
    row = round(max(height for _, height in sizes) * 1.7)
    box_width = max(width for width, _ in sizes) + 2 * row
    panel = picture[: row * len(classes) + row // 2, :box_width]
    panel //= 3
    for index, item in enumerate(classes):
        top = row // 4 + index * row
        cv2.rectangle(picture, (row // 4, top + 2), (row, top + row - 2), item.color, cv2.FILLED)
        place = (row + row // 3, top + round(row * 0.75))
        cv2.putText(picture, item.name, place, _FONT, scale, (255, 255, 255), line, cv2.LINE_AA)


def _sizes(picture: NDArray[np.uint8]) -> tuple[float, int]:
    """Font scale and line width that suit the picture's height."""
    height = picture.shape[0]
    return max(0.35, height / 1000), max(1, round(height / 500))


def _ink(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black on light colours, white on dark ones (ITU-R BT.601 luma)."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
