"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path


def part_of(path: Path) -> Path:
    """Where a file is written before it takes its name; OpenCV goes by the suffix."""
    return path.with_name(f".part.{path.name}")


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) so that a kill or a full disk leaves the one before, never a part of the new.

    Raises:
        OSError: it cannot be written.
    """
    part = part_of(path)
    try:
        part.write_text(text, encoding="utf8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
