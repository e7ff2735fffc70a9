"""Commands that take networks elsewhere and back, or show what becomes of them there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.cli_size import METAVAR, height_and_width
from training.score_lines import score_lines


def fusion_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
) -> None:
    """Count the nodes of a run's graph as traced, as exported, and as each engine fuses it."""
    from rich.console import Console

    from training.export.fusion import fusion_of, render

    Console().print(render(fusion_of(run)))


def mobile_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="File to write: X.pte for ExecuTorch, X.tflite for LiteRT.")],
) -> None:
    """Export a run for phones and embedded boards, checked against torch in the file's own runtime."""
    from training.export.mobile import write_mobile

    parity = write_mobile(run, out)
    for line in parity.summary:
        typer.echo(line)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def adapt_command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder or a shipped one's name.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write; its name becomes the bundle's name.")],
    camera: Annotated[
        str | None,
        typer.Option(metavar=METAVAR, help="Size of the camera's pictures, which the graph then takes."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, max=64, help="Frames at once, just so many. [default: any number]")
    ] = None,
) -> None:
    """Make a bundle to a vehicle's measure: resizing inside the graph, a fixed number of frames."""
    from distill_perception.bundle import load_bundle
    from training.export.adapt import adapt

    size = None if camera is None else height_and_width(camera)
    for result in adapt(load_bundle(bundle), out, size, batch):
        for line in result.summary:
            typer.echo(line)
    typer.echo(f"bundle: {out}")


def restore_command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder or a shipped one's name.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    recipe: Annotated[
        Path | None,
        typer.Option(help="Recipe whose data it is shown and scored on. [default: the bundle's own recipe]"),
    ] = None,
) -> None:
    """Make a bundle a run again: to train on (model.init), to learn from (teacher), to prune or export."""
    from distill_perception.bundle import load_bundle
    from training.export.restore import restore_run
    from training.recipe import load_recipe

    data = None if recipe is None else load_recipe(recipe).data
    for line in score_lines(restore_run(load_bundle(bundle), out, data)):
        typer.echo(line)
    typer.echo(f"run folder: {out}")
