"""Bags made message by message."""

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from distill_perception.replay import message_types as kinds


def header(stamp_ns: int) -> object:
    types = kinds.typestore().types
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // 10**9, stamp_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp, "camera")


def image(stamp_ns: int, pixels: np.ndarray, encoding: str, padding: int = 0) -> bytes:
    """A sensor_msgs/Image as bytes; `padding` bytes of rubbish end each row."""
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    make = kinds.typestore().types[kinds.IMAGE]
    height, width = pixels.shape[:2]
    message = make(header(stamp_ns), height, width, encoding, 0, rows.shape[1], rows.reshape(-1))
    return bytes(kinds.typestore().serialize_cdr(message, kinds.IMAGE))


def bag_of(path: Path, messages: list[tuple[str, int, bytes]]) -> Path:
    """A bag of images (topic, recording time, message)."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = dict.fromkeys(topic for topic, _, _ in messages)
        connections = {t: writer.add_connection(t, kinds.IMAGE, typestore=kinds.typestore()) for t in topics}
        for topic, time_ns, data in messages:
            writer.write(connections[topic], time_ns, data)
    return path
