"""The command that completes a data set: `boxes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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

    for name, count in write_boxes(folder, class_set, min_pixels).items():
        typer.echo(f"{name:20s} {count}")
    typer.echo(f"boxes: {folder / 'boxes.json'}")
