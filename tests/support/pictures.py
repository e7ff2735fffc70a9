"""Picture files that OpenCV cannot write."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def turned_by_exif(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG whose EXIF says how it is to be turned: 3 by 180 degrees, 6 by 90."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)  # orientation, a short
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return jpeg[:2] + segment + jpeg[2:]


def palette_png(ids: np.ndarray) -> bytes:
    """A PNG of 8-bit indices, uint8 [H,W], with a palette of VOC's first colours repeated."""
    palette = bytes([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] * 64)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in ids)
    chunks = [(b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
