"""The same replay without ROS: every frame through the perceptor, one after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..bundle import Bundle
from ..engines import EngineSettings, open_engine
from ..errors import ImageError
from ..metrics import LOWEST_SCORE
from ..perceptor import Frame, Perceptor
from .bag_reader import Bag
from .recording import FrameResult, MaskSpool, Recording


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
    """
    results: list[FrameResult] = []
    answered = 0
    complete = True
    opened = open_engine(bundle, engine, settings)
    perceptor = Perceptor(bundle, opened, LOWEST_SCORE)
    try:
        perceptor.warm_up()
        begin = time.monotonic()
        for frame in bag.frames(truth=False):
            key, start = (frame.topic, frame.stamp_ns), time.monotonic()
            try:
                pixels, encoding = frame.image.native()
                seen = perceptor.perceive([Frame(pixels, encoding)])[0]
            except ImageError:  # the node drops malformed frames too, and counts them
                results.append(FrameResult(key, start - begin, answered=False))
                continue
            timings = {
                "preprocess": seen.timings.preprocess_ms,
                "inference": seen.timings.inference_ms,
                "postprocess": seen.timings.postprocess_ms,
                "end_to_end": (time.monotonic() - start) * 1e3,
            }
            if seen.mask is not None:
                masks.put(key, seen.mask)
            results.append(FrameResult(key, start - begin, True, seen.detections, timings))
            answered += 1
            progress(len(results), answered)
    except KeyboardInterrupt:
        complete = False
    finally:
        perceptor.close()
    return Recording(
        results=tuple(results),
        masks=masks,
        complete=complete,
        duration_s=time.monotonic() - begin,
        engine=opened.description,
        score_threshold=LOWEST_SCORE,
    )
