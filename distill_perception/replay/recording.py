"""What came back from the perception stack, frame by frame, before anything is scored."""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from ..perceptor import Detection
from .pace import Pace

Key = tuple[str, int]  # image topic, stamp of the bag in nanoseconds

# In the order in which a frame passes them; "total" is the node's, from callback to last result published;
# "end_to_end" is measured by the one who sends the frame, from sending to the last answer received.
STAGES = ("queue", "preprocess", "inference", "postprocess", "publish", "total", "end_to_end")


@dataclass(frozen=True)
class FrameResult:
    """The answer to one frame, or its absence.

    sent_s: seconds since the replay's start; timings_ms: milliseconds by stage, only those that are known.
    """

    key: Key
    sent_s: float
    answered: bool
    detections: tuple[Detection, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """All answers of one replay.

    counters: the node's own figures by camera, empty if it was not asked; score_threshold: lowest score of
    the detections, None if the node did not tell; pace: None where frames did not go out at the bag's.
    """

    results: tuple[FrameResult, ...]
    masks: MaskSpool
    complete: bool
    duration_s: float
    engine: str
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    score_threshold: float | None = None
    pace: Pace | None = None


class MaskSpool:
    """Masks uint8 [H,W] kept compressed in a temporary file, so that a long drive needs no memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="distill-perception-masks-")  # noqa: SIM115 (closed by close)
        self._places: dict[Key, tuple[int, int, tuple[int, ...]]] = {}

    def put(self, key: Key, mask: np.ndarray) -> None:
        """Keep a mask under its frame's key."""
        data = zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes(), 1)
        place = self._file.seek(0, 2)
        self._file.write(data)
        self._places[key] = (place, len(data), mask.shape)

    def get(self, key: Key) -> np.ndarray | None:
        """The mask of a frame, or None if there was none."""
        if key not in self._places:
            return None
        place, length, shape = self._places[key]
        self._file.seek(place)
        return np.frombuffer(zlib.decompress(self._file.read(length)), np.uint8).reshape(shape)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def __enter__(self) -> MaskSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
