"""A live camera topic into a bag, to be replayed and measured."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rosbags.rosbag2 import Writer

from ..bags import message_types as kinds
from ..bags.writer import BAG_VERSION, STORAGES, BagOptions, check_options, finished_folder
from ..errors import ReplayError, ros_is_missing
from ..progress import Progress
from ..ros.transport import use_large_messages
from ..signals import noted_signals
from ..terminal import progress_bars, warn
from ..topics import is_compressed

_POLL_S = 0.1
_LOOK_S = 1.0  # between two looks at how the stream fares
_DEPTH = 60  # frames that may wait while the disk is busy


@dataclass(frozen=True)
class Recorded:
    """How many frames were written, and how many of them have the stamp of one before."""

    frames: int
    repeated: int


def record(topic: str, out: Path, seconds: float, storage: str = "mcap", force: bool = False) -> Recorded:
    """Write a camera's messages as they come, from the first one on; a signal ends it and keeps them.

    Args:
        topic: absolute image topic; `/compressed` at its end says that CompressedImage comes.
        out: the bag's folder.
        seconds: how long, counted from the first frame.
        force: replace an existing bag.

    Raises:
        ReplayError: nothing came before the signal.
        BagError: the bag cannot be written; if frames had come, they stay, and the error says where.
        ConfigError: ROS is not installed or does not start.
    """
    options = BagOptions(topic, storage=storage, compressed=is_compressed(topic))
    check_options(out, options, force)
    times: list[float] = []
    stamps: list[int] = []
    failure: Exception | None = None
    with (
        progress_bars() as report,  # ends last: it may fail in a terminal that is closed
        noted_signals() as stopping,
        finished_folder(out, worth_keeping=lambda: bool(times)) as unfinished,
    ):
        with Writer(unfinished, version=BAG_VERSION, storage_plugin=STORAGES[storage]) as writer:
            try:
                trouble = _listen(topic, writer, seconds, report, stopping, times, stamps)
            except Exception as error:  # raised when the bag is closed: Writer would leave it unreadable
                failure = error
        if failure:
            raise failure
        if not times:
            raise ReplayError(f"{topic}: no frame came; {trouble or 'it was waited for less than 3 s'}")
    if trouble:
        warn(f"{topic}: {trouble}")
    if repeated := len(stamps) - len(set(stamps)):
        warn(
            f"{topic}: {repeated} of {len(times)} frames have the stamp of one before, so the bag cannot be "
            "replayed or trained on; record it again with a driver that stamps each image"
        )
    return Recorded(len(times), repeated)


def _listen(
    topic: str,
    writer: Writer,
    seconds: float,
    report: Progress,
    stopping: list[int],
    times: list[float],
    stamps: list[int],
) -> str:
    """Write what comes; returns what is wrong with the stream if anything is.

    Args:
        stopping: ends it once there is something in it.
        times: gets the time of each frame that was written, seconds of the monotonic clock.
        stamps: gets the stamps of those that have one, in nanoseconds.
    """
    use_large_messages()
    try:
        from ..ros.diagnostics import OK, Health, Reminder, Tally, judge
        from ..ros.participant import Participant
        from ..ros.qos import camera_qos
        from ..ros.stream import CameraStream
    except ImportError as error:
        raise ros_is_missing(error) from error
    kind = kinds.COMPRESSED_IMAGE if is_compressed(topic) else kinds.IMAGE
    connection = writer.add_connection(topic, kind, typestore=kinds.typestore())

    def write(data: bytes) -> None:
        writer.write(connection, time.time_ns(), data)
        times.append(time.monotonic())
        if stamp := kinds.stamp_ns(data, 0):
            stamps.append(stamp)

    ros = Participant("record")
    stream = CameraStream(ros.node, topic, camera_qos("best_effort", _DEPTH), write, raw=True)
    begun, reminder = time.monotonic(), Reminder()

    def trouble(lost: int) -> str:
        silent_s = time.monotonic() - (times[-1] if times else begun)
        publishers, other_type = stream.publishers()
        tally = Tally(received=len(times))
        health = Health(tally, Tally(), silent_s, publishers, lost, 0.0, other_type, stream.qos_problem)
        level, text = judge(topic, health)
        return "" if level == OK else text

    looked_s, lost_before = begun, 0
    try:
        while not stopping and (not times or time.monotonic() - times[0] < seconds):
            ros.executor.spin_once(timeout_sec=_POLL_S)
            now_s = time.monotonic()
            done = now_s - times[0] if times else 0.0
            what = f"recording {topic}, seconds" if times else f"waiting for {topic}"
            with suppress(OSError):  # of a terminal that is closed; the signal of that ends the recording
                report(what, int(done), int(seconds))
            if now_s - looked_s >= _LOOK_S:
                lost = stream.lost()
                trouble_now = trouble(lost - lost_before)
                looked_s, lost_before = now_s, lost
                if (said := reminder.say(trouble_now, now_s)) and trouble_now:
                    with suppress(OSError):
                        warn(f"{topic}: {said}")
        return trouble(stream.lost())
    finally:
        stream.destroy()
        ros.close()
