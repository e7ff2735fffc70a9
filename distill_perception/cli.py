"""The command `distill-perception`: run the node, replay drives, make bags, look into bundles."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import __version__
from .cli_engine import engine_app
from .cli_options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    FiniteNumbers,
    ParamOption,
    PrecisionOption,
    ThreadsOption,
    check_utf8,
    expanded,
    is_given,
)
from .cli_replay import replay_command
from .compare.cli import compare_command
from .dependencies import check_dependencies
from .errors import PerceptionError
from .terminal import OUT, complain, show_warnings


class _Edge(TyperGroup):
    """Where errors of ours end: one red line and exit code 2, no traceback; after signal N, 128 + N."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (PerceptionError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            complain(str(error))
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stopped:
            number = next((item for item in stopped.args if isinstance(item, int)), signal.SIGINT)
            raise typer.Exit(128 + number) from None


NewBagArgument = Annotated[
    Path, typer.Argument(metavar="BAG", help="The bag's folder, to be made.", callback=expanded)
]

app = typer.Typer(
    cls=_Edge,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Distilled perception students on ROS 2 camera topics: run them, measure them on recorded drives.",
)
bundle_app = typer.Typer(no_args_is_help=True, help="Look into model bundles.")
app.add_typer(bundle_app, name="bundle")
app.add_typer(engine_app, name="engine")


def _show_version(wanted: bool) -> None:
    if wanted:
        from .commit import git_hash

        commit = git_hash()
        OUT.print(f"distill_perception {__version__}" + (f" (git {commit})" if commit else ""))
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks of errors.")] = False,
) -> None:
    pass


@app.command(cls=FiniteNumbers)
def run(
    context: typer.Context,
    bundle: BundleOption = "camvid_lite0",
    cameras: Annotated[
        list[str] | None,
        typer.Option(
            "--camera",
            "-c",
            metavar="TOPIC",
            help="Image topic, e.g. /camera/front/image_raw (also .../compressed); may be repeated.",
        ),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    max_age_ms: Annotated[
        float, typer.Option(min=0, help="Drop frames older than this; 0 keeps all.")
    ] = 500.0,
    score_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Drop detections below this score.")
    ] = 0.3,
    qos_reliability: Annotated[
        str,
        typer.Option(help="best_effort receives from any camera; reliable or system_default if you must."),
    ] = "best_effort",
    params: ParamOption = None,
    ros_args: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- ROS ARGUMENTS]", help="Passed on, e.g. -- -r __ns:=/car --log-level debug"
        ),
    ] = None,
) -> None:
    """Run the perception node here, without ros2 launch. Ctrl-C ends it.

    For each camera TOPIC the results appear beside it, under perception/: mask, detections, overlay and more.
    """
    from .replay.node_process import ros_arguments
    from .ros.node import main as node_main

    # Only what was given here: a default of this command must not stand before --param or a parameter file.
    given = {
        name: value
        for name, value in context.params.items()
        if name not in ("params", "ros_args") and is_given(context, name)
    }
    arguments = ros_arguments(given, params or [])
    code = node_main(["perception_node", *arguments, *(ros_args or [])])
    if code:
        raise typer.Exit(code)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def compress(context: typer.Context) -> None:
    """Make a trained run smaller: `distill-perception-train compress`, which needs the training extra."""
    from .training_half import hand_over

    hand_over("compress", context.args)


app.command("replay", cls=FiniteNumbers)(replay_command)
app.command("compare")(compare_command)


@app.command("bag", cls=FiniteNumbers)
def bag_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder with images/ (and labels/, boxes.json), or a video file.",
            callback=expanded,
        ),
    ],
    out: NewBagArgument,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Frames per second. [default: 15, or the video's own]")
    ] = None,
    topic: Annotated[str, typer.Option(help="Image topic; labels go beside it.")] = "/camera/front/image_raw",
    frame_id: Annotated[str, typer.Option(help="Frame of reference in the headers.")] = "camera_front",
    compressed: Annotated[bool, typer.Option("--compressed", help="Write CompressedImage (JPEG).")] = False,
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    bundle: Annotated[
        str | None, typer.Option("--bundle", "-b", help="Take the class names from this bundle.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing bag.")] = False,
) -> None:
    """Make a (labelled) rosbag2 from a folder of pictures or from a video file.

    SOURCE as a folder holds images/NAME.jpg or .png and optionally labels/NAME.png (8-bit class ids),
    boxes.json (COCO, category ids are class ids) and classes.json (names). Frames follow one another as
    their names do, 9 before 10.
    """
    from .bags.make_bag import make_bag

    count = make_bag(source, out, rate, topic, frame_id, compressed, storage, bundle, force)
    play = shlex.join(["distill-perception", "replay", str(out), "--bundle", bundle or "camvid_lite0"])
    OUT.print(f"{out}: {count} frames\nplay it: {play}", soft_wrap=True)


@app.command("record", cls=FiniteNumbers)
def record_(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Image topic of a running camera.")],
    out: NewBagArgument,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long, from the first frame on.")] = 15.0,
    storage: Annotated[str, typer.Option(help="mcap or sqlite3.")] = "mcap",
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing bag.")] = False,
) -> None:
    """Record a live camera into a bag, where there is no `ros2 bag record`. Ctrl-C ends it early."""
    from .replay.record import record

    done = record(topic, out, seconds, storage, force)
    OUT.print(f"{out}: {done.frames} frames", soft_wrap=True)
    if not done.repeated:
        play = shlex.join(["distill-perception", "replay", str(out)])
        OUT.print(f"play it: {play}", soft_wrap=True)


@app.command()
def watch(
    node: Annotated[
        str, typer.Option(help="The node's name, after its namespace if it has one: car/perception.")
    ] = "perception",
    once: Annotated[bool, typer.Option("--once", help="Print the status once and exit.")] = False,
) -> None:
    """Watch a running node: rate, latency and drops of each camera. Ctrl-C ends it.

    With --once the exit status is 0 where the node is active and its cameras are well, 1 where not, and 2
    where no such node is heard.
    """
    from .ros.watch import watch as watch_node
    from .ros.watch import watch_once

    if not once:
        watch_node(node)
    elif not watch_once(node):
        raise typer.Exit(1)


@bundle_app.command()
def inspect(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder or a shipped one's name.")],
) -> None:
    """Show what a bundle is, what it was made from, and how it scored."""
    from .bundle_view import print_bundle

    print_bundle(bundle)


@bundle_app.command()
def verify(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder or a shipped one's name.")],
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
) -> None:
    """Check a bundle's files against their hashes, and each model's graph by loading and running it once."""
    from .bundle_view import verify_bundle

    verify_bundle(bundle, engine, device)


def main() -> None:
    """Entry point of the console script."""
    try:
        check_dependencies("pydantic", "typer")
        check_utf8(sys.argv[1:])
    except PerceptionError as error:
        complain(str(error))
        sys.exit(2)
    show_warnings()
    app(prog_name="distill-perception")


if __name__ == "__main__":
    main()
