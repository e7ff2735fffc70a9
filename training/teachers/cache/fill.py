"""Fills a cache frame by frame; what is there already is passed over, so it can be stopped and resumed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from distill_perception.terminal import progress_bars
from training.data.sources import Source
from training.errors import TrainingError
from training.teachers.cache.answer import Image, image_key
from training.teachers.cache.teacher import CachedTeacher

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FillCount:
    """Frames seen so far: asked of the teacher, and found on disk."""

    asked: int
    found: int


def fill_frames(cached: CachedTeacher, source: Source, batch: int = 4) -> FillCount:
    """`fill_cache` with a source's frames and a progress bar.

    Raises:
        TrainingError: the cache cannot be written, or its limit is too small to keep all frames' answers.
    """
    keys: set[str] = set()

    def images() -> Iterator[Image]:
        for index in range(len(source)):
            image = source[index].image
            keys.add(image_key(image))
            yield image

    count = FillCount(0, 0)
    with progress_bars() as report:
        report("Asking the teacher", 0, len(source))
        for count in fill_cache(cached, images(), batch, len(source)):
            report("Asking the teacher", count.asked + count.found, len(source))
    if dropped := sum(key not in cached.store for key in keys):
        raise TrainingError(
            f"teacher.cache: {cached.store.folder} cannot hold {len(keys)} frames' answers, {dropped} were "
            f"dropped again: raise teacher.cache.limit_gb, which is {cached.store.limit / 1e9:g}"
        )
    return count


def fill_cache(
    cached: CachedTeacher, frames: Iterable[Image], batch: int = 4, total: int | None = None
) -> Iterator[FillCount]:
    """Ask the teacher about every frame that is not on disk, `batch` of one size at a time.

    Yields after each frame that was found and each batch that was asked.

    Args:
        frames: uint8 [H,W,3], RGB, as the data pipeline gives them before augmentation.
        total: number of frames, for a warning if they will not fit.
    """
    asked = found = 0
    waiting: list[Image] = []
    for image in frames:
        if cached.has(image):
            found += 1
            yield FillCount(asked, found)
            continue
        if waiting and waiting[0].shape != image.shape:
            asked += _ask(cached, waiting)
            yield FillCount(asked, found)
        waiting.append(image)
        if len(waiting) == batch:
            first = asked == 0
            asked += _ask(cached, waiting)
            if first and total is not None:
                _warn_if_too_small(cached, total)
            yield FillCount(asked, found)
    if waiting:
        asked += _ask(cached, waiting)
        yield FillCount(asked, found)


def _ask(cached: CachedTeacher, waiting: list[Image]) -> int:
    cached.ask(waiting)
    count = len(waiting)
    waiting.clear()
    return count


def _warn_if_too_small(cached: CachedTeacher, total: int) -> None:
    entries = sum(1 for _ in cached.store.folder.glob("*/*.npz"))
    expected = cached.store.size() / max(1, entries) * total
    if expected > cached.store.limit:
        logger.warning(
            "teacher.cache: %d frames will take about %.1f GB, more than teacher.cache.limit_gb %.1f: "
            "the first ones will be dropped again",
            total,
            expected / 1e9,
            cached.store.limit / 1e9,
        )
