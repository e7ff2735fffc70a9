"""Write a binary wheel by hand: a zip with the files, METADATA, WHEEL and RECORD (PEP 427).

setuptools is of no use here, because nothing is left to build.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WheelContent:
    """Files of a wheel: target path -> source, below site-packages (`package`) or the prefix (`data`)."""

    package: dict[str, Path]
    data: dict[str, Path]


def write_wheel(wheel: Path, content: WheelContent) -> None:
    """Write `wheel`, whose file name gives distribution, version and tags; it appears whole or not at all."""
    name, version, *tags = wheel.name[: -len(".whl")].split("-")
    info = f"{name}-{version}.dist-info"
    files: dict[str, bytes] = {target: path.read_bytes() for target, path in content.package.items()}
    files |= {
        f"{name}-{version}.data/data/{target}": path.read_bytes() for target, path in content.data.items()
    }
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: distill_perception interfaces/build.py\n"
        f"Root-Is-Purelib: false\nTag: {'-'.join(tags)}\n"
    ).encode()
    record = [f"{target},sha256={_digest(body)},{len(body)}" for target, body in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()

    partial = wheel.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for target, body in files.items():
            archive.writestr(target, body)
    partial.replace(wheel)


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
