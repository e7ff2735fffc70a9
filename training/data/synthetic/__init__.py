"""A seeded renderer of street drives with exact masks and boxes (numpy and OpenCV only).

Example:
    >>> from training.data.synthetic import DriveSettings, render_drive
    >>> frame = next(iter(render_drive(DriveSettings(frames=1, width=320, height=240))))
    >>> frame.image.shape, frame.mask.shape
    ((240, 320, 3), (240, 320))
"""

from training.data.synthetic.boxes import Box
from training.data.synthetic.classes import COLORS_RGB, NAMES, VOID
from training.data.synthetic.render import Frame, render_drive
from training.data.synthetic.settings import WEATHERS, DriveSettings, SyntheticError

__all__ = [
    "COLORS_RGB",
    "NAMES",
    "VOID",
    "WEATHERS",
    "Box",
    "DriveSettings",
    "Frame",
    "SyntheticError",
    "render_drive",
]
