"""Sources of samples, one file a format; `open_source` finds them by the format's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.data.source_spec import SourceSpec
from training.data.sources.bag import BagSource
from training.data.sources.base import Selected, Source, every_nth
from training.data.sources.bdd100k import Bdd100kSource
from training.data.sources.camvid import CamvidSource
from training.data.sources.cityscapes import CityscapesSource
from training.data.sources.coco import CocoSource
from training.data.sources.folder import FolderSource
from training.data.sources.images import ImagesSource
from training.data.sources.kitti import KittiObjectSource, KittiSemanticSource

__all__ = ["SOURCES", "Source", "open_source"]

SOURCES: dict[str, Callable[[Any], Source]] = {
    "folder": FolderSource,
    "images": ImagesSource,
    "camvid": CamvidSource,
    "cityscapes": CityscapesSource,
    "bdd100k": Bdd100kSource,
    "kitti_object": KittiObjectSource,
    "kitti_semantic": KittiSemanticSource,
    "coco": CocoSource,
    "bag": BagSource,
}


def open_source(spec: SourceSpec) -> Source:
    """List what a source holds; frames are read when asked for, in the source's own class set and size.

    Args:
        spec: one of `training.data.source_spec.FORMATS`.

    Raises:
        TrainingError: files or folders that the format needs are missing or do not fit each other.
    """
    source = SOURCES[spec.format](spec)  # type: ignore[attr-defined]
    if spec.every == 1 and spec.use_masks and spec.use_boxes:
        return source
    # A bag's cameras take turns: every second frame of all might be all of one camera's.
    streams = [topic for topic, _ in source.frames] if isinstance(source, BagSource) else [""] * len(source)
    return Selected(source, every_nth(streams, spec.every), spec.use_masks, spec.use_boxes)
