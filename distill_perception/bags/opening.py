"""Opening a bag with rosbags, whose many errors become one that says what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from ..errors import BagError, PerceptionError
from .message_types import stamp_ns

_ROS1_MAGIC = b"#ROSBAG V"


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """rosbags' reader of a rosbag2 folder, or of a .mcap or .db3 file.

    Raises:
        BagError: no bag, or a damaged one, found out while it is open too.
    """
    with readable(path), Reader(bag_at(path)) as reader:
        yield reader


def bag_at(path: Path) -> Path:
    """What rosbags is to open: of a folder without metadata.yaml its only file.

    Raises:
        BagError: there is no bag.
    """
    if not path.exists():
        raise BagError(f"{path}: no such bag; make one with 'distill-perception bag' or 'ros2 bag record'")
    if path.is_file():
        _refuse_other_files(path)
    if path.is_file() or (path / "metadata.yaml").is_file():
        return path
    files = [*path.glob("*.mcap"), *path.glob("*.db3")]
    if len(files) != 1:
        raise BagError(f"{path}: not a rosbag2 folder (no metadata.yaml); try: ros2 bag reindex {path}")
    return files[0]


def _refuse_other_files(path: Path) -> None:
    """Say what to do with a file that is no rosbag2; a damaged one is found by its reader."""
    with path.open("rb") as file:
        is_ros1 = path.suffix == ".bag" or file.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC
    if is_ros1:
        convert = shlex.join(
            ["rosbags-convert", "--src", str(path), "--dst", str(path.with_suffix("")) + "_ros2"]
        )
        raise BagError(f"{path}: this is a bag of ROS 1; convert it: {convert}")
    if path.suffix not in Reader.STORAGE_PLUGINS:
        make = shlex.join(["distill-perception", "bag", str(path), str(path.with_suffix("")) + "_bag"])
        raise BagError(
            f"{path}: not a bag (a rosbag2 folder, or a .mcap or .db3 file); make one of a video: {make}"
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what rosbags raises on a damaged bag into BagError."""
    try:
        yield
    except PerceptionError:
        raise
    except Exception as error:  # struct, sqlite, zstd, yaml and rosbags' own errors
        raise BagError(
            f"{path}: cannot be read, it is empty, cut off or damaged ({type(error).__name__}: {error}); "
            f"try 'mcap recover' on the file or 'ros2 bag reindex {path}', or record it again"
        ) from error


def messages(reader: Reader, connections: list[Connection]) -> Iterator[tuple[Connection, int, int, bytes]]:
    """Connection, stamp, recording time and bytes of each message, by recording time.

    An error ends them if fewer come than announced: sqlite ends a cut-off table without one.
    """
    if not connections:  # which rosbags takes for all
        return
    count, announced = 0, sum(connection.msgcount for connection in connections)
    for connection, time_ns, data in reader.messages(connections):
        count += 1
        yield connection, stamp_ns(data, time_ns), time_ns, data
    if count < announced:
        raise EOFError(f"{announced} messages are announced, {count} are there")
