"""Masks of a long drive, kept where they need no memory."""

from __future__ import annotations

import tempfile
import zlib
from types import TracebackType

import numpy as np

Key = tuple[str, int]  # image topic, stamp of the bag in nanoseconds


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
