"""The archive's format: magic, SHA-256 of what follows, length of the header (uint32, little endian), header
(JSON), payload.

The header holds what a run folder holds beside weights (recipe, shapes), and for each tensor name, shape,
dtype and the lengths of its parts, which follow each other in the payload. Raw tensors (batch norm, biases)
are little-endian values. Nothing in it is executed. Anyone can make an archive with a right SHA-256: nothing
is allocated before lengths were compared with the payload, and shapes with the recipe's network.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_perception.whole_file import write_whole
from training.compression.archive.tensors import SharedTensor, Stream
from training.errors import TrainingError

NAME = b"DPARCHIVE"  # of all versions
MAGIC = NAME + b"2\n"
Tensors = Mapping[str, NDArray[Any]]
Kind = tuple[tuple[int, ...], str]  # shape and dtype, the latter as numpy writes it: <f4


def write_archive(
    path: Path, tensors: Tensors, shared: Mapping[str, SharedTensor], about: dict[str, Any]
) -> None:
    """Write `tensors`; those named in `shared` in that form, others raw; `about` goes into the header.

    Raises:
        TrainingError: it cannot be written; an archive that was there is still whole.
    """
    payload = bytearray()
    entries = []
    for name, values in tensors.items():
        entry: dict[str, Any] = {"name": name, "shape": values.shape, "dtype": values.dtype.str}
        if name in shared:
            entry["shared"] = _put_shared(payload, shared[name])
        else:
            payload += values.tobytes()
        entries.append(entry)
    header = json.dumps({**about, "tensors": entries}).encode()
    content = struct.pack("<I", len(header)) + header + payload
    target = path.resolve()  # through a symlink, as other files are written
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, MAGIC + hashlib.sha256(content).digest() + content)
    except OSError as error:
        raise TrainingError(
            f"cannot write archive {path}: {error.strerror}; free some space, or choose another place"
        ) from error


def replaces_archive(path: Path) -> bool:
    """Whether `path` is an archive, of this version or another, that a new one there replaces.

    Raises:
        TrainingError: something else is there.
    """
    if not path.exists():
        return False
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(NAME)) == NAME:
                return True
    raise TrainingError(f"{path} is there and is no archive: choose another name")


def read_archive(path: Path) -> tuple[dict[str, Any], memoryview]:
    """Header and payload.

    Raises:
        TrainingError: not an archive, cut short, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read archive {path}: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise TrainingError(f"{path} is no archive that this version of `archive pack` wrote: pack it again")
    start = len(MAGIC) + hashlib.sha256().digest_size
    digest, content = data[len(MAGIC) : start], memoryview(data)[start:]
    if hashlib.sha256(content).digest() != digest:
        raise TrainingError(f"{path} is cut short or damaged (its SHA-256 differs): pack it again")
    try:
        (length,) = struct.unpack("<I", content[:4])
        header: dict[str, Any] = json.loads(bytes(content[4 : 4 + length]))
    except (struct.error, ValueError, RecursionError) as error:
        raise TrainingError(f"{path} has no header that can be read: pack it again") from error
    return header, content[4 + length :]


def read_tensors(
    header: Mapping[str, Any], payload: memoryview, kinds: Mapping[str, Kind]
) -> dict[str, NDArray[Any]]:
    """The tensors of an archive, which must be these, in this order.

    Raises:
        ValueError, TypeError, LookupError: the archive holds others, or not what its header says.
    """
    reader = _Reader(payload)
    found = {}
    for entry, (name, (shape, dtype)) in zip(header["tensors"], kinds.items(), strict=True):
        if (entry["name"], entry["shape"], entry["dtype"]) != (name, list(shape), dtype):
            raise ValueError(f"tensor '{entry['name']}' is not the network's '{name}', {dtype} {list(shape)}")
        if "shared" not in entry:
            values = reader.take(dtype, math.prod(shape)).copy()
        elif dtype == "<f4":
            values = _take_shared(reader, entry["shared"], math.prod(shape))
        else:
            raise ValueError(f"tensor '{name}' is {dtype}, which cannot be shared")
        found[name] = values.reshape(shape)
    return found


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
        if len(part) != size:
            raise ValueError("the payload is shorter than the header says")
        self._place += size
        return np.frombuffer(part, dtype)


def _take_shared(reader: _Reader, described: Mapping[str, Any], size: int) -> NDArray[np.float32]:
    codebook = reader.take("<f4", described["codebook"])
    streams = [
        Stream(reader.take("u1", alphabet), count, reader.take("u1", length).tobytes())
        for alphabet, count, length in described["streams"]
    ]
    return SharedTensor(size, codebook, streams[0], streams[1] if len(streams) > 1 else None).weights()
