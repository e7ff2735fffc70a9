"""Example frames as figures, the pictures inside the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from ...errors import ReplayError
from ...manifest import ClassInfo
from ..examples import Example, render

_MAX_WIDTH, _MAX_HEIGHT = 640, 1280
_JPEG_QUALITY = 82


def figure(example: Example, classes: tuple[ClassInfo, ...], with_camera: bool) -> str:
    """Image, label (if there is one) and prediction side by side; with_camera: name the topic."""
    views = [("image", example.pixels)]
    if example.label is not None:
        views.append(("label", render(example.pixels, classes, example.label, None, legend=False)))
    views.append(("prediction", render(example.pixels, classes, example.mask, example.result, legend=False)))
    cells = "".join(
        f'<div><img alt="{name}" src="{data_uri(picture)}"><span>{name}</span></div>'
        for name, picture in views
    )
    score = f", <b>mean IoU {example.miou:.3f}</b>" if example.miou is not None else ""
    camera = f" of {escape(example.camera)}" if with_camera else ""
    caption = f"<figcaption>frame {example.index}{camera}{score}</figcaption>"
    return f'<figure>{caption}<div class="views">{cells}</div></figure>'


def figures(examples: Sequence[Example], classes: tuple[ClassInfo, ...], with_camera: bool = False) -> str:
    """Several figures, one below the other."""
    return "".join(figure(example, classes, with_camera) for example in examples)


def data_uri(picture: np.ndarray) -> str:
    """uint8 [H,W,3] BGR as a JPEG data URI, made smaller if it is wide or high."""
    height, width = picture.shape[:2]
    scale = min(1.0, _MAX_WIDTH / width, _MAX_HEIGHT / height)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    encoded, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise ReplayError(f"OpenCV cannot write a picture of {width}x{height} pixels as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
