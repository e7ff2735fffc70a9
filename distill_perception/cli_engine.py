"""The commands `distill-perception engine ...`: which engines work here, how fast; TensorRT's built ones."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_options import DeviceOption, ThreadsOption, expanded, write_file

engine_app = typer.Typer(
    no_args_is_help=True, help="Inference engines of this machine; TensorRT's built ones."
)

CacheOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of built engines. Default: $DISTILL_PERCEPTION_CACHE, or "
        "distill_perception/engines in the user's cache folder.",
        show_default=False,
        callback=expanded,
    ),
]


@engine_app.command("list")
def list_command(device: DeviceOption = "auto", cache: CacheOption = None) -> None:
    """List the engines, best first, and why one cannot be used here; then TensorRT's built engines."""
    from .engine_view import engines_table, stored_table
    from .engines.tensorrt.store import EngineStore
    from .terminal import OUT

    OUT.print(engines_table(device))
    store = EngineStore(cache)
    stored = stored_table(store)
    if stored is not None:
        OUT.print(f"\nTensorRT engines in {store.folder}:", stored)


@engine_app.command("bench")
def bench_command(
    bundles: Annotated[
        list[str], typer.Argument(metavar="BUNDLE", help="Bundles: folders, or names of shipped ones.")
    ],
    device: DeviceOption = "auto",
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Frames at once, the number of cameras; may be repeated. [1]"),
    ] = None,
    threads: ThreadsOption = 0,
    rounds: Annotated[int, typer.Option(min=10, help="Timed calls of each.")] = 100,
    json_: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all numbers as JSON.", callback=expanded),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw mIoU over latency as .png, .svg or .pdf. Needs matplotlib.",
            callback=expanded,
        ),
    ] = None,
) -> None:
    """Time every precision of bundles on every engine of a device, beside what its manifest says it scores.

    All take turns in one run, so that the table's lines can be compared; nothing else should work meanwhile.
    Frames go in from host memory and answers come back there. "start" is how long an engine took to open the
    first and the second time: TensorRT builds, and then loads what it has built (here in a cache of its own).
    """
    from .bench import accuracy_over_latency, bench, bench_device, check_scored, open_forms
    from .bundle import load_bundle
    from .compare.figure import check_figure, draw
    from .engine_view import print_bench
    from .engines import EngineSettings
    from .machine import describe_machine
    from .terminal import OUT, progress_bars

    if figure:
        check_figure(figure)
    loaded = [load_bundle(item) for item in bundles]
    with progress_bars() as report:
        settings = EngineSettings(device=bench_device(device), threads=threads, progress=report)
        with open_forms(loaded, settings, batches or (1,)) as forms:
            if figure:
                check_scored(forms)
            rows = bench(forms, rounds, report)
    print_bench(rows)
    if json_:
        record: dict[str, Any] = {
            "machine": describe_machine(),
            "command": shlex.join(["distill-perception", *sys.argv[1:]]),
        }
        record |= {"device": settings.device, "threads": threads, "rounds": rounds}
        write_file(json_, json.dumps({**record, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    if figure:
        shown = accuracy_over_latency(rows)
        draw(shown, figure)
        if shown.left_out:
            OUT.print(f"not in the figure, as nobody scored them: {', '.join(shown.left_out)}", style="dim")


@engine_app.command("build")
def build_command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder or a shipped one's name.")],
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="fp32, fp16, int8, fp8; may be repeated. Default: all that it and the GPU have.",
        ),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="GPU",
            help="this-gpu (fastest), ampere+ (every GPU from Ampere on), or one compute capability such as "
            "sm86; may be repeated. Default: this-gpu, or ampere+ where there is none.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Most frames at once: the number of cameras.")] = 1,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible", help="Newer TensorRT versions can use it too (not TensorRT-RTX)."
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="The GPU that this-gpu means: cuda, cuda:1, ...")] = "cuda",
    cache: CacheOption = None,
) -> None:
    """Build TensorRT engines of a bundle ahead of time, so that the node's first start need not.

    TensorRT-RTX builds without a GPU: build anywhere with --cache FOLDER, copy the folder to the vehicle and
    let DISTILL_PERCEPTION_CACHE name it there. TensorRT builds on the GPU that it builds for.
    """
    from .bundle import load_bundle
    from .engine_view import build_engines
    from .engines.tensorrt.store import EngineStore

    build_engines(
        load_bundle(bundle), EngineStore(cache), precisions, targets, batch, version_compatible, device
    )


@engine_app.command("clear")
def clear_command(cache: CacheOption = None) -> None:
    """Remove built TensorRT engines and what speeds up building; the node builds anew what it needs.

    Other files in the folder stay.
    """
    from .engines.tensorrt.store import EngineStore
    from .terminal import OUT

    store = EngineStore(cache)
    OUT.print(f"{store.folder}: {store.clear()} file(s) removed")
