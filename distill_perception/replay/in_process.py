"""The same replay without ROS: every frame through the perceptor, one after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..bags.mask_spool import MaskSpool
from ..bags.reader import Bag, BagFrame
from ..bundle import Bundle
from ..engines import EngineSettings, open_engine
from ..errors import ImageError, ReplayError
from ..metrics import LOWEST_SCORE
from ..perceptor import Frame, Perceptor
from ..terminal import warn
from .recording import FrameResult, Recording


def perceive_bag(
    bag: Bag,
    bundle: Bundle,
    engine: str,
    settings: EngineSettings,
    masks: MaskSpool,
    progress: Callable[[int, int], None] = lambda sent, answered: None,
) -> Recording:
    """Run every frame of the bag; Ctrl-C ends it early and keeps what was done.

    Raises:
        EngineError: the engine is not available or fails.
        ReplayError: not one image of the bag could be read.
    """
    results: list[FrameResult] = []
    unread: list[str] = []  # which images, and why
    answered = 0
    complete = True
    opened = open_engine(bundle, engine, settings)
    perceptor = Perceptor(bundle, opened, LOWEST_SCORE)
    try:
        begin = time.monotonic()
        try:
            for frame in bag.frames(truth=False):
                sent_s = time.monotonic() - begin
                try:
                    result = _perceive(perceptor, frame, masks, sent_s)
                except ImageError as error:  # the node drops malformed frames too, and counts them
                    unread.append(f"{frame.topic} at {frame.stamp_ns / 1e9:.3f} s: {error}")
                    result = FrameResult((frame.topic, frame.stamp_ns), sent_s, answered=False)
                results.append(result)
                answered += result.answered
                progress(len(results), answered)
        except KeyboardInterrupt:
            complete = False
    finally:
        perceptor.close()
    if unread:
        text = f"{bag.path}: {len(unread)} of {len(results)} images could not be read, first {unread[0]}"
        if complete and not answered:
            raise ReplayError(text)
        warn(f"{text}; they count as dropped")
    return Recording(
        results=tuple(results),
        masks=masks,
        complete=complete,
        duration_s=time.monotonic() - begin,
        engine=opened.description,
        score_threshold=LOWEST_SCORE,
    )


def _perceive(perceptor: Perceptor, frame: BagFrame, masks: MaskSpool, sent_s: float) -> FrameResult:
    """One frame's answer; its mask goes to the spool. sent_s: seconds since the replay's start."""
    key, start = (frame.topic, frame.stamp_ns), time.monotonic()
    pixels, encoding = frame.image.native()
    seen = perceptor.perceive([Frame(pixels, encoding)])[0]
    timings = {
        "preprocess": seen.timings.preprocess_ms,
        "inference": seen.timings.inference_ms,
        "postprocess": seen.timings.postprocess_ms,
        "end_to_end": (time.monotonic() - start) * 1e3,
    }
    if seen.mask is not None:
        masks.put(key, seen.mask)
    return FrameResult(key, sent_s, True, seen.detections, timings)
