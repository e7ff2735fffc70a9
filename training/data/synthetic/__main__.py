"""Command line: `python -m training.data.synthetic --out DIR --frames N`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.progress import track

from training.data.synthetic.folder import prepare_folder, write_folder
from training.data.synthetic.render import render_drive
from training.data.synthetic.settings import WEATHERS, DriveSettings, SyntheticError
from training.home import home_expanded


def _size(text: str) -> tuple[int, int]:
    width, x, height = text.lower().partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write WIDTHxHEIGHT, for example 640x480")
    return int(width), int(height)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.data.synthetic",
        description="Render a synthetic drive into a labelled folder: images/*.jpg, labels/*.png (class ids "
        "0-10, 11 void), boxes.json (COCO) and classes.json.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make; must not exist or be empty")
    parser.add_argument("--frames", type=int, default=150, help="number of frames (default 150)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same frames (default 0)")
    parser.add_argument(
        "--size", type=_size, default=(640, 480), metavar="WxH", help="picture size (default 640x480)"
    )
    parser.add_argument(
        "--rate", type=float, default=15.0, help="frames per second of the drive (default 15)"
    )
    parser.add_argument(
        "--weather", choices=WEATHERS, help="weather (default: a seeded choice for each scene)"
    )
    parser.add_argument(
        "--scenes",
        type=int,
        default=1,
        help="different streets the frames are spread over (default 1; as many as frames gives stills)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(home_expanded(sys.argv[1:] if arguments is None else arguments))
    try:
        width, height = options.size
        settings = DriveSettings(
            options.frames, options.seed, width, height, options.rate, options.weather, options.scenes
        )
        prepare_folder(options.out)
        start = time.perf_counter()
        for _ in track(write_folder(options.out, render_drive(settings)), "Rendering", total=settings.frames):
            pass
    except SyntheticError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    seconds = time.perf_counter() - start
    speed = settings.frames / seconds
    print(f"{settings.frames} frames in {options.out} ({seconds:.1f} s, {speed:.0f} frames/s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
