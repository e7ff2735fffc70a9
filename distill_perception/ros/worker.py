"""The threads between arrival and publication: the waiting cameras' newest frames in, their results out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from ..errors import ImageError, first_line
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


@dataclass(frozen=True, eq=False)
class _Seen:
    """A batch between inference and publication; times are of `time.perf_counter`."""

    taken: Sequence[Taken[Arrival]]
    frames: Sequence[Frame]
    perceptions: Sequence[Perception]
    started: float
    decoded: float
    perceived: float


class Worker:
    """Runs the perceptor on its own thread from construction until ``stop``.

    Results are published on a second thread, so that the engine sees the next frames meanwhile: one batch, no
    more. Until the results before it are out, further frames stay in their slots, where newer ones overwrite
    them.

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
        self._publisher = ThreadPoolExecutor(1, "perception publisher")
        self._publishing: Future[None] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="perception worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batches in work, if any, and end the threads."""
        self._stopping.set()
        self._slots.close()
        self._thread.join()
        self._publisher.shutdown()

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._slots.take(_POLL_S, self._max_age_ms(), self._now_ns)
            seen = self._see(batch) if batch else None
            if seen is not None:
                if self._publishing is not None:
                    self._publishing.result()
                self._publishing = self._publisher.submit(self._publish, seen)

    def _see(self, batch: Sequence[Taken[Arrival]]) -> _Seen | None:
        """Infer one batch; whatever goes wrong is counted, and the thread lives on."""
        started = time.perf_counter()
        readable, frames = self._decode(batch)
        if not frames:
            return None
        decoded = time.perf_counter()
        try:
            results = [self._cameras[taken.slot.name].results for taken in readable]
            seen = self._perceptor.perceive(frames, any(item.wants_confidence() for item in results))
        except Exception as error:
            for taken in readable:
                self._cameras[taken.slot.name].stats.failed(f"inference: {error}")
            self._complain(f"inference on {len(frames)} frame(s) failed: {error}")
            return None
        return _Seen(readable, frames, seen, started, decoded, time.perf_counter())

    def _publish(self, seen: _Seen) -> None:
        """Carry one batch to its topics; whatever goes wrong is counted, and the thread lives on."""
        for taken, frame, perception in zip(seen.taken, seen.frames, seen.perceptions, strict=True):
            camera = self._cameras[taken.slot.name]
            try:
                camera.results.publish(taken.item.header, frame, perception)
                published = time.perf_counter()
                times = perception.timings
                stages_ms = {
                    "queue": (seen.started - taken.item.received_s) * 1e3,
                    "preprocess": (seen.decoded - seen.started) * 1e3 + times.preprocess_ms,
                    "inference": times.inference_ms,
                    "postprocess": times.postprocess_ms,
                    "publish": (published - seen.perceived) * 1e3,
                    "total": (published - taken.item.received_s) * 1e3,
                }
                camera.results.publish_timing(taken.item.header, stages_ms)
            except Exception as error:
                camera.stats.failed(f"publishing: {error}")
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
            except Exception as error:  # no memory for a huge picture, for one
                reason = f"decoding: {first_line(error)}"
                self._cameras[taken.slot.name].stats.failed(reason)
                self._complain(f"{taken.slot.name}: {reason}")
            else:
                readable.append(taken)
        return readable, frames
