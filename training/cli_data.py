"""The commands that make and complete data sets: `synthetic`, `boxes`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from distill_perception.terminal import counted, progress_bars, warn
from training.cli_size import METAVAR, height_and_width


def boxes_command(
    folder: Annotated[
        Path, typer.Argument(help="Labelled folder, images/ and labels/: data/camvid/train for example.")
    ],
    class_set: Annotated[
        str | None,
        typer.Option(help="Labels' classes: a name or file. [default: the folder's classes.json, or camvid]"),
    ] = None,
    min_pixels: Annotated[int, typer.Option(min=1, help="Leave smaller pieces out.")] = 40,
) -> None:
    """Make a folder's boxes.json from its masks: a box around each connected piece of a thing class."""
    from training.data.mask_boxes import write_boxes

    if class_set is None and not (folder / "classes.json").is_file():
        warn(f"class set 'camvid' is assumed: {folder} has no classes.json, and --class-set is not given")
    for name, count in write_boxes(folder, class_set, min_pixels).items():
        typer.echo(f"{name:20s} {count}")
    typer.echo(f"boxes: {folder / 'boxes.json'}")


def synthetic_command(
    out: Annotated[Path, typer.Option(help="Folder to make; must not exist or be empty.")],
    frames: Annotated[int, typer.Option(help="Number of frames.")] = 150,
    seed: Annotated[int, typer.Option(help="The same seed gives the same frames.")] = 0,
    size: Annotated[str, typer.Option(metavar=METAVAR, help="Size of the pictures.")] = "640x480",
    rate: Annotated[float, typer.Option(help="Frames per second of the drive.")] = 15.0,
    weather: Annotated[
        str | None,
        typer.Option(help="clear, overcast, dusk, fog or rain. [default: a seeded choice for each scene]"),
    ] = None,
    scenes: Annotated[
        int, typer.Option(help="Streets that the frames are spread over; as many as frames gives stills.")
    ] = 1,
) -> None:
    """Render a drive as a labelled folder: images/NAME.jpg, labels/NAME.png, boxes.json, classes.json."""
    from training.data.synthetic.folder import prepare_folder, write_folder
    from training.data.synthetic.render import render_drive
    from training.data.synthetic.settings import DriveSettings

    height, width = height_and_width(size)
    settings = DriveSettings(frames, seed, width, height, rate, weather, scenes)
    prepare_folder(out)
    start = time.perf_counter()
    with progress_bars() as report:
        for _ in counted(write_folder(out, render_drive(settings)), "Rendering", frames, report):
            pass
    seconds = time.perf_counter() - start
    typer.echo(f"{frames} frames in {out} ({seconds:.1f} s, {frames / seconds:.0f} frames/s)")
