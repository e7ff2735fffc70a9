"""Names: which topics of a bag belong to one camera."""

from __future__ import annotations

from ..ros.topics import image_namespace

LABEL = "label"
BOXES = "boxes"
LABEL_INFO = "label_info"


def beside(image_topic: str, name: str) -> str:
    """A topic in the image topic's namespace.

    >>> beside("/camera/front/image_raw", "label")
    '/camera/front/label'
    """
    return f"{image_namespace(image_topic)}/{name}"
