"""The thread between arrival and publication: the waiting cameras' newest frames in, their results out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from ..errors import ImageError
from ..latest import LatestSlots, Taken
from ..perceptor import Frame, Perception, Perceptor
from .diagnostics import CameraStats
from .messages import frame_from_compressed

_POLL_S = 0.5  # how soon a changed max_age_ms is noticed while no frame comes


@dataclass(frozen=True, eq=False)
class Arrival:
    """A camera message as the callback leaves it: pictures are wrapped, compressed ones not yet decoded."""

    header: Header
    content: Frame | CompressedImage
    received_s: float


class Results(Protocol):
    """Where a camera's results go."""

    def wants_confidence(self) -> bool:
        """Whether anybody listens to the confidence."""

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        """Publish what was seen in a frame."""

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        """Publish how long the frame's stages took, when anybody listens."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera as the worker sees it."""

    results: Results
    stats: CameraStats


class Worker:
    """Runs the perceptor on its own thread from construction until ``stop``.

    Args:
        slots: the cameras' newest frames.
        cameras: by the name of their slot.
        perceptor: used by this thread only.
        max_age_ms: asked before every batch.
        now_ns: the clock that stamps are compared with.
        complain: called with what went wrong; it decides how often to log.
    """

    def __init__(
        self,
        slots: LatestSlots[Arrival],
        cameras: Mapping[str, Camera],
        perceptor: Perceptor,
        max_age_ms: Callable[[], float],
        now_ns: Callable[[], int],
        complain: Callable[[str], None],
    ) -> None:
        self._slots, self._cameras, self._perceptor = slots, cameras, perceptor
        self._max_age_ms, self._now_ns, self._complain = max_age_ms, now_ns, complain
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="perception worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch in work, if any, and end the thread."""
        self._stopping.set()
        self._slots.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._slots.take(_POLL_S, self._max_age_ms(), self._now_ns)
            if batch:
                self._process(batch)

    def _process(self, batch: Sequence[Taken[Arrival]]) -> None:
        """Carry one batch to its topics; whatever goes wrong is counted, and the thread lives on."""
        start = time.perf_counter()
        readable, frames = self._decode(batch)
        if not frames:
            return
        decode_ms = (time.perf_counter() - start) * 1e3
        try:
            results = [self._cameras[taken.slot.name].results for taken in readable]
            seen = self._perceptor.perceive(frames, any(item.wants_confidence() for item in results))
        except Exception as error:
            for taken in readable:
                self._cameras[taken.slot.name].stats.failed(str(error))
            self._complain(f"inference on {len(frames)} frame(s) failed: {error}")
            return
        perceived = time.perf_counter()
        for taken, frame, perception in zip(readable, frames, seen, strict=True):
            camera = self._cameras[taken.slot.name]
            try:
                camera.results.publish(taken.item.header, frame, perception)
                published = time.perf_counter()
                times = perception.timings
                stages_ms = {
                    "queue": (start - taken.item.received_s) * 1e3,
                    "preprocess": decode_ms + times.preprocess_ms,
                    "inference": times.inference_ms,
                    "postprocess": times.postprocess_ms,
                    "publish": (published - perceived) * 1e3,
                    "total": (published - taken.item.received_s) * 1e3,
                }
                camera.results.publish_timing(taken.item.header, stages_ms)
            except Exception as error:
                camera.stats.failed(str(error))
                self._complain(f"{taken.slot.name}: publishing failed: {error}")
            else:
                camera.stats.processed(stages_ms)

    def _decode(self, batch: Sequence[Taken[Arrival]]) -> tuple[list[Taken[Arrival]], list[Frame]]:
        readable: list[Taken[Arrival]] = []
        frames: list[Frame] = []
        for taken in batch:
            content = taken.item.content
            try:
                frames.append(content if isinstance(content, Frame) else frame_from_compressed(content))
            except ImageError as error:
                self._cameras[taken.slot.name].stats.malformed(str(error))
                taken.slot.count_malformed(delivered=True)
                self._complain(f"{taken.slot.name}: dropped a malformed frame: {error}")
            else:
                readable.append(taken)
        return readable, frames
