"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its name; OpenCV goes by the suffix."""
    return path.with_name(f".part.{path.name}")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file (text in UTF-8) so that a kill or a full disk leaves the old one, never half of the new.

    Raises:
        OSError: it cannot be written.
    """
    part = part_of(path)
    try:
        if isinstance(content, str):
            part.write_text(content, encoding="utf8")
        else:
            part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
