"""The commands that make finished runs smaller: `compress`, `archive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

archive_app = typer.Typer(no_args_is_help=True, help="Deep Compression archives: k-means and Huffman code.")


def compress_command(
    recipe: Annotated[
        Path, typer.Argument(help="Compress recipe, for example training/recipes/compress/camvid_lite0.yaml.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to work in; runs/compress/NAME by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last step that ended.")] = False,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(min=0, help="Points of mIoU that may be lost. [default: the recipe's]"),
    ] = None,
    max_map50_drop: Annotated[
        float | None,
        typer.Option(
            min=0, help="Points of mAP50 that may be lost. [default: the recipe's, else as of mIoU]"
        ),
    ] = None,
    latency_ms: Annotated[
        float | None,
        typer.Option(min=0.01, help="Wanted milliseconds a frame on the recipe's engine; fastest otherwise."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the training; 0 leaves torch's choice.")] = 0,
) -> None:
    """Prune, finetune, quantize, train with INT8, cluster: as the recipe says; the best point as a bundle."""
    from training.compression.chain import compress
    from training.compression.spec import load_compress_recipe
    from training.provenance import command_line
    from training.train import set_threads

    set_threads(threads)
    spec = load_compress_recipe(recipe)
    limits = {
        "max_miou_drop": max_miou_drop,
        "max_map50_drop": max_map50_drop,
        "latency_ms": latency_ms,
    }
    spec = spec.model_copy(update={key: value for key, value in limits.items() if value is not None})
    folder = out or Path("runs") / "compress" / spec.name
    bundle = compress(spec, folder, resume, command_line(), typer.echo)
    typer.echo(f"report: {folder / 'report.md'}\nbundle: {bundle.path}")


@archive_app.command("pack")
def pack_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    archive: Annotated[Path, typer.Argument(help="File to write.")],
    bits: Annotated[int, typer.Option(min=1, max=8, help="2^BITS different weights a layer.")] = 8,
) -> None:
    """Share each layer's weights by k-means and write them, Huffman coded, as one file."""
    from training.compression.archive.run import pack

    packed = pack(run, archive, bits)
    typer.echo(
        f"{archive}: {packed.archive_bytes / 1e6:.2f} MB, FP32 {packed.float_bytes / 1e6:.2f} MB: "
        f"{packed.ratio:.1f} times smaller"
    )


@archive_app.command("unpack")
def unpack_command(
    archive: Annotated[Path, typer.Argument(help="File that `pack` wrote.")],
    run: Annotated[Path, typer.Argument(help="Run folder to write; export and train take it.")],
) -> None:
    """Write an archive's network as a run folder."""
    from training.compression.archive.run import unpack

    unpack(archive, run)
    typer.echo(f"run folder: {run}")
