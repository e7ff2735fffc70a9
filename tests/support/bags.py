"""Bags made message by message."""

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from distill_perception.bags import message_types as kinds


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


def compressed(stamp_ns: int, pixels: np.ndarray, kind: str) -> bytes:
    """A sensor_msgs/CompressedImage as bytes, a PNG whatever its format `kind` says."""
    data = cv2.imencode(".png", pixels)[1].reshape(-1)
    message = kinds.typestore().types[kinds.COMPRESSED_IMAGE](header(stamp_ns), kind, data)
    return bytes(kinds.typestore().serialize_cdr(message, kinds.COMPRESSED_IMAGE))


def bag_of(path: Path, messages: list[tuple[str, int, bytes]], **types: str) -> Path:
    """A bag of messages (topic, recording time, message): images, or `types` by the topic's last name."""
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = dict.fromkeys(topic for topic, _, _ in messages)
        connections = {}
        for topic in topics:
            kind = types.get(topic.rpartition("/")[2], kinds.IMAGE)
            connections[topic] = writer.add_connection(topic, kind, typestore=kinds.typestore())
        for topic, time_ns, data in messages:
            writer.write(connections[topic], time_ns, data)
    return path
