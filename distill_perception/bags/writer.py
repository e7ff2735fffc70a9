"""Write a labelled bag: image, label and boxes of a frame share one stamp."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from ..errors import BagError
from ..metrics import IGNORED_ID
from ..topics import BOXES, LABEL, LABEL_INFO, beside, is_compressed, is_ros_name
from . import message_types as kinds
from .ground_truth import Boxes, box_center
from .labelled_folder import LabelledFrame

STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
BAG_VERSION: Literal[8] = 8  # readable from ROS 2 Iron on; 9 is only for newer ones
MAX_RATE_HZ = 1000.0  # stamps must differ, and no camera is faster

_FOREVER = QosTime(9223372036, 854775807)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    avoid_ros_namespace_conventions=False,
)


@dataclass(frozen=True)
class BagOptions:
    """How a bag is written. start_ns: stamp of the first frame, by default now."""

    topic: str = "/camera/front/image_raw"
    rate_hz: float = 15.0
    storage: str = "mcap"
    compressed: bool = False
    jpeg_quality: int = 95
    frame_id: str = "camera_front"
    start_ns: int | None = None


def write_bag(
    path: Path,
    frames: Iterable[LabelledFrame],
    options: BagOptions = BagOptions(),
    class_names: dict[int, str] | None = None,
    *,
    overwrite: bool = False,
) -> int:
    """Write the frames as a bag folder; the folder appears under its name only when it is complete.

    Args:
        path: the bag's folder.
        class_names: written once as label_info, if known.
        overwrite: replace an existing bag.

    Returns:
        The number of frames written.

    Raises:
        BagError: the folder exists, an option is out of range, there were no frames, or no room for them.
    """
    check_options(path, options, overwrite)
    with finished_folder(path) as unfinished, _full_disk_told(path, unfinished):
        with Writer(unfinished, version=BAG_VERSION, storage_plugin=STORAGES[options.storage]) as writer:
            count = _FrameWriter(writer, options).write_all(frames, class_names or {})
        if not count:
            raise BagError(f"{path}: no frames to write")
    return count


def check_options(path: Path, options: BagOptions, overwrite: bool) -> None:
    """Refuse a bag that could not be written, or not be played.

    Raises:
        BagError: naming the option, or the folder that is in the way.
    """
    if options.storage not in STORAGES:
        raise BagError(f"storage '{options.storage}' is unknown; choose one of {', '.join(STORAGES)}")
    if not 0 < options.rate_hz <= MAX_RATE_HZ:
        raise BagError(f"rate must be above 0 and at most {MAX_RATE_HZ:g} Hz, not {options.rate_hz:g}")
    _check_topic(options)
    if path.exists():
        if not overwrite:
            raise BagError(f"{path} exists already; choose another name or overwrite it (--force)")
        if not (path / "metadata.yaml").is_file():
            raise BagError(f"{path} exists and is not a bag; it will not be overwritten")


def _check_topic(options: BagOptions) -> None:
    """Refuse names that replay could not play, or whose labels would go into the pictures' own topic."""
    topic, example = options.topic, "for example /camera/front/image_raw"
    if not is_ros_name(topic):
        raise BagError(f"topic '{topic}' must be absolute, of letters, digits and '_' alone, {example}")
    if is_compressed(topic) and not options.compressed:
        raise BagError(
            f"topic '{topic}' is named as compressed pictures are: add --compressed, or leave the ending out"
        )
    if topic in (beside(topic, name) for name in (LABEL, BOXES, LABEL_INFO)):
        raise BagError(f"topic '{topic}' is where labels go; name the pictures otherwise, {example}")


@contextmanager
def finished_folder(path: Path, worth_keeping: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """A folder to write into, moved to `path` on success and removed on any error, Ctrl-C included.

    Args:
        path: what is there is replaced at the end; where it is a link, what the link names.
        worth_keeping: asked after an error; if so, what was written stays, and the error says where.

    Raises:
        BagError: nothing can be written at `path`, or what is there cannot be replaced, both found out before
            anything is written; an error has come of which something stays.
    """
    missing = [place for place in (path.parent, *path.parent.parents) if not place.exists()]
    path, parent = _folder_beside(path)
    new, old = parent / path.name, path.with_name(f"{parent.name}-old")
    replaces, complete = path.exists(), False
    try:
        if replaces:
            _move_there_and_back(path, old)
        yield new
        complete = True
        if replaces and path.exists():
            path.rename(old)
        new.rename(path)
    except BaseException as error:
        if old.exists() and not path.exists():
            old.rename(path)
        if complete or worth_keeping():
            reason = str(error) or type(error).__name__
            raise BagError(f"{path} was not written: {reason}; what there is stays in {new}") from error
        shutil.rmtree(parent, ignore_errors=True)
        with suppress(OSError):  # somebody else has put something there since
            for place in missing:
                place.rmdir()
        raise
    for rest in (old, parent):
        shutil.rmtree(rest, ignore_errors=True)


def _folder_beside(path: Path) -> tuple[Path, Path]:
    """Where a link at `path` leads, else `path`; and a new hidden folder beside it."""
    target = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not made: the folder that a link leads to may be of a disk that is not there.
        return target, Path(tempfile.mkdtemp(prefix=f".{target.name}-unfinished-", dir=target.parent))
    except OSError as error:
        where = f" (a link to {target})" if path.is_symlink() else ""
        raise BagError(
            f"{path}{where} cannot be written: {error.strerror}; choose another place for it"
        ) from error


def _move_there_and_back(path: Path, aside: Path) -> None:
    """Whether a folder can be moved is known only to who tries: owners, mounts and flags all have a say."""
    try:
        path.rename(aside)
        aside.rename(path)
    except OSError as error:
        raise BagError(f"{path} cannot be replaced: {error.strerror}; choose another name") from error


@contextmanager
def _full_disk_told(path: Path, unfinished: Path) -> Iterator[None]:
    """Name the bag where it cannot be written on: of a full disk neither Python nor SQLite says which."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        file = getattr(error, "filename", None)
        if file is not None and unfinished not in Path(file).parents:  # a picture that cannot be read
            raise
        reason = getattr(error, "strerror", None) or error
        raise BagError(
            f"{path} was not written: {reason}; make room there or choose another place for it"
        ) from error


class _FrameWriter:
    """Serializes frames into an open bag; topics are added when first needed."""

    def __init__(self, writer: Writer, options: BagOptions) -> None:
        self.writer = writer
        self.options = options
        self.store = kinds.typestore()
        self.connections: dict[str, Connection] = {}

    def write_all(self, frames: Iterable[LabelledFrame], class_names: dict[int, str]) -> int:
        start = time.time_ns() if self.options.start_ns is None else self.options.start_ns
        count = 0
        for count, frame in enumerate(frames, start=1):
            stamp_ns = start + round((count - 1) * 1e9 / self.options.rate_hz)
            if count == 1 and class_names:
                info = self._label_info(stamp_ns, class_names)
                self._write(
                    beside(self.options.topic, LABEL_INFO), kinds.LABEL_INFO, stamp_ns, info, (_LATCHED,)
                )
            self._write_frame(frame, stamp_ns)
        return count

    def _write_frame(self, frame: LabelledFrame, stamp_ns: int) -> None:
        topic = self.options.topic
        if self.options.compressed:
            topic = topic.removesuffix("/compressed") + "/compressed"
            self._write(topic, kinds.COMPRESSED_IMAGE, stamp_ns, self._jpeg(frame.pixels, stamp_ns))
        else:
            self._write(topic, kinds.IMAGE, stamp_ns, self._image(frame.pixels, "bgr8", stamp_ns))
        if frame.label is not None:
            self._write(
                beside(topic, LABEL), kinds.IMAGE, stamp_ns, self._image(frame.label, "mono8", stamp_ns)
            )
        if frame.boxes is not None:
            self._write(
                beside(topic, BOXES), kinds.DETECTIONS, stamp_ns, self._detections(frame.boxes, stamp_ns)
            )

    def _write(self, topic: str, kind: str, stamp_ns: int, message: Any, qos: tuple[Qos, ...] = ()) -> None:
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(
                topic, kind, typestore=self.store, offered_qos_profiles=qos
            )
        self.writer.write(self.connections[topic], stamp_ns, self.store.serialize_cdr(message, kind))

    def _make(self, kind: str, *fields: Any) -> Any:
        return self.store.types[kind](*fields)

    def _header(self, stamp_ns: int) -> Any:
        stamp = self._make("builtin_interfaces/msg/Time", stamp_ns // 10**9, stamp_ns % 10**9)
        return self._make("std_msgs/msg/Header", stamp, self.options.frame_id)

    def _image(self, pixels: np.ndarray, encoding: str, stamp_ns: int) -> Any:
        height, width = pixels.shape[:2]
        flat = np.ascontiguousarray(pixels).reshape(-1)
        return self._make(
            kinds.IMAGE, self._header(stamp_ns), height, width, encoding, 0, flat.size // height, flat
        )

    def _jpeg(self, pixels: np.ndarray, stamp_ns: int) -> Any:
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self.options.jpeg_quality])
        return self._make(
            kinds.COMPRESSED_IMAGE, self._header(stamp_ns), "bgr8; jpeg compressed bgr8", data.reshape(-1)
        )

    def _detections(self, boxes: Boxes, stamp_ns: int) -> Any:
        header = self._header(stamp_ns)
        items = [
            self._detection(header, xyxy, int(label), name)
            for corners, labels, name in (
                (boxes.xyxy, boxes.labels, ""),
                (boxes.ignored, boxes.ignored_labels, IGNORED_ID),
            )
            for xyxy, label in zip(corners, labels, strict=True)
        ]
        return self._make(kinds.DETECTIONS, header, items)

    def _detection(self, header: Any, xyxy: np.ndarray, label: int, name: str) -> Any:
        x, y, width, height = box_center(xyxy)
        centre = self._make("vision_msgs/msg/Pose2D", self._make("vision_msgs/msg/Point2D", x, y), 0.0)
        box = self._make("vision_msgs/msg/BoundingBox2D", centre, width, height)
        hypothesis = self._make("vision_msgs/msg/ObjectHypothesis", str(label), 1.0)
        result = self._make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis, self._no_pose())
        return self._make("vision_msgs/msg/Detection2D", header, [result], box, name)

    def _no_pose(self) -> Any:
        point = self._make("geometry_msgs/msg/Point", 0.0, 0.0, 0.0)
        rotation = self._make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0)
        pose = self._make("geometry_msgs/msg/Pose", point, rotation)
        return self._make("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36))

    def _label_info(self, stamp_ns: int, class_names: dict[int, str]) -> Any:
        classes = [
            self._make("vision_msgs/msg/VisionClass", class_id, name)
            for class_id, name in sorted(class_names.items())
        ]
        return self._make(kinds.LABEL_INFO, self._header(stamp_ns), classes, 0.0)
