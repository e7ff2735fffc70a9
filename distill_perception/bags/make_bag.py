"""From a folder or a video file to a bag, with a progress bar."""

from __future__ import annotations

from pathlib import Path

from ..bundle import load_bundle
from ..errors import BagError
from ..signals import noted_signals, until_stopped
from ..terminal import counted, progress_bars, warn
from .labelled_folder import read_labelled_folder
from .video_file import open_video
from .writer import BagOptions, write_bag

DEFAULT_RATE_HZ = 15.0


def make_bag(
    source: Path,
    out: Path,
    rate_hz: float | None = None,
    topic: str = "/camera/front/image_raw",
    frame_id: str = "camera_front",
    compressed: bool = False,
    storage: str = "mcap",
    bundle: str | None = None,
    force: bool = False,
) -> int:
    """Write the bag; returns the number of frames.

    Args:
        rate_hz: by default a video's own rate, and DEFAULT_RATE_HZ for a folder.
        bundle: where class names are taken from; by default the folder's classes.json, if there is one.

    Raises:
        BagError: the source cannot be read or the bag not written.
        BundleError: the bundle cannot be read.
        KeyboardInterrupt: a signal ended it, with its number; nothing is left.
    """
    if not source.exists():
        raise BagError(f"{source}: no such folder or video file")
    if source.is_dir():
        folder = read_labelled_folder(source)
        frames, total, names, own_rate = folder.frames(), len(folder), folder.class_names, DEFAULT_RATE_HZ
    else:
        video = open_video(source)
        frames, total, names, own_rate = video.frames(), video.frame_count, {}, video.rate_hz
        if rate_hz is None and not own_rate:
            raise BagError(f"{source}: the file does not say its frame rate; give one with --rate")
    labelled = source.is_dir() and bool(folder.labels or folder.boxes)
    if bundle is not None:
        names = dict(enumerate(load_bundle(bundle, verify=False).manifest.class_names))
    options = BagOptions(topic, rate_hz or own_rate, storage, compressed, frame_id=frame_id)
    try:
        with progress_bars() as report, noted_signals() as stopping:
            passing = counted(until_stopped(frames, stopping), "writing", total, report)
            count = write_bag(out, passing, options, names, overwrite=force)
    except KeyboardInterrupt:
        warn(f"stopped: {out} was not written")
        raise
    if total - count > max(3, total // 50):  # containers may be off by a few
        warn(
            f"{source}: only {count} of the {total} frames that it announces could be read; it is cut off or "
            "damaged, and so the bag is short"
        )
    if labelled and not names:
        warn(
            f"{out} has labels without class names, so replay cannot tell whether a bundle's are the same; "
            f"give them by {source / 'classes.json'} or --bundle"
        )
    return count
