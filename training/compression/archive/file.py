"""The archive's format: magic, length of the header (uint32, little endian), header (JSON), payload.

The header holds what a run folder holds beside weights (recipe, shapes), the SHA-256 of the payload, and for
each tensor name, shape, dtype and the lengths of its parts, which follow each other in the payload. Raw
tensors (batch norm, biases) are little-endian values. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.compression.archive.tensors import SharedTensor, Stream
from training.errors import TrainingError

MAGIC = b"DPARCHIVE1\n"
Tensors = Mapping[str, NDArray[Any]]


def write_archive(
    path: Path, tensors: Tensors, shared: Mapping[str, SharedTensor], about: dict[str, Any]
) -> None:
    """Write `tensors`; those named in `shared` in that form, others raw; `about` goes into the header."""
    payload = bytearray()
    entries = []
    for name, values in tensors.items():
        entry: dict[str, Any] = {"name": name, "shape": values.shape, "dtype": values.dtype.str}
        if name in shared:
            entry["shared"] = _put_shared(payload, shared[name])
        else:
            payload += values.tobytes()
        entries.append(entry)
    digest = hashlib.sha256(payload).hexdigest()
    header = json.dumps({**about, "sha256": digest, "tensors": entries}).encode()
    path.write_bytes(MAGIC + struct.pack("<I", len(header)) + header + payload)


def read_archive(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Tensors and header.

    Raises:
        TrainingError: not an archive, cut short, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read archive {path}: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise TrainingError(f"{path} is no archive of `python -m training archive pack`")
    start = len(MAGIC) + 4
    try:
        (length,) = struct.unpack("<I", data[len(MAGIC) : start])
        header: dict[str, Any] = json.loads(data[start : start + length])
        payload = memoryview(data)[start + length :]
        whole = hashlib.sha256(payload).hexdigest() == header["sha256"]
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is cut short or damaged: pack it again") from error
    if not whole:
        raise TrainingError(f"{path} is cut short or damaged (its SHA-256 differs): pack it again")
    reader = _Reader(payload)
    return {entry["name"]: _take(reader, entry) for entry in header["tensors"]}, header


def _put_shared(payload: bytearray, tensor: SharedTensor) -> dict[str, Any]:
    payload += tensor.codebook.astype("<f4").tobytes()
    streams = [tensor.entries] if tensor.gaps is None else [tensor.entries, tensor.gaps]
    for stream in streams:
        payload += stream.lengths.tobytes() + stream.data
    described = [[len(stream.lengths), stream.count, len(stream.data)] for stream in streams]
    return {"codebook": len(tensor.codebook), "streams": described}


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self._data, self._place = data, 0

    def take(self, dtype: str, count: int) -> NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        part = self._data[self._place : self._place + size]
        self._place += size
        return np.frombuffer(part, dtype)


def _take(reader: _Reader, entry: Mapping[str, Any]) -> NDArray[Any]:
    shape = tuple(entry["shape"])
    size = int(np.prod(shape))
    if "shared" not in entry:
        return reader.take(entry["dtype"], size).reshape(shape).copy()
    codebook = reader.take("<f4", entry["shared"]["codebook"])
    streams = [
        Stream(reader.take("u1", alphabet), count, reader.take("u1", length).tobytes())
        for alphabet, count, length in entry["shared"]["streams"]
    ]
    gaps = streams[1] if len(streams) > 1 else None
    return SharedTensor(size, codebook, streams[0], gaps).weights().reshape(shape)
