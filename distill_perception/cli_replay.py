"""The command `distill-perception replay`."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from .cli_options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    ParamOption,
    PrecisionOption,
    ThreadsOption,
    expanded,
    is_given,
)
from .errors import ReplayError

# The options that each way to replay does not use. Who gives one would take the results for something else.
_NOT_USED = {
    "in_process": ("rate", "fast", "params", "domain_id", "start_timeout", "answer_timeout"),
    "attach": ("engine", "precision", "device", "threads", "params"),
    "fast": ("rate",),
}

# Node parameters that replay sets by options of its own, by which the results are then told.
_SET_BY = {name: f"--{name}" for name in ("bundle", "engine", "precision", "device", "threads")}
_SET_BY["cameras"] = "--topic"


def replay_command(
    context: typer.Context,
    bag: Annotated[
        Path,
        typer.Argument(metavar="BAG", help="rosbag2 folder, or a .mcap or .db3 file.", callback=expanded),
    ],
    bundle: BundleOption = "camvid_lite0",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results.", callback=expanded)
    ] = Path("replay_out"),
    topics: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            metavar="TOPIC",
            help="Image topic of the bag; may be repeated. Default: one of each namespace.",
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Pace, as a factor of the bag's own.")] = 1.0,
    fast: Annotated[
        bool, typer.Option("--as-fast-as-possible", help="Send each frame when the last one is answered.")
    ] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without ROS: straight through the model, no messages.")
    ] = False,
    attach: Annotated[
        bool,
        typer.Option("--attach", help="Use the node that runs already (same ROS_DOMAIN_ID, same bundle)."),
    ] = False,
    node: Annotated[
        str, typer.Option(help="With --attach: the node's name, after its namespace if it has one.")
    ] = "perception",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    params: ParamOption = None,
    domain_id: Annotated[
        int | None, typer.Option(min=0, max=232, help="ROS domain; default: one that is free here.")
    ] = None,
    start_timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait until the node is active.")
    ] = 90.0,
    answer_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for an answer (--as-fast-as-possible).")
    ] = 10.0,
    labels: Annotated[
        bool, typer.Option(help="Score answers with the bag's labels; without, as if it had none.")
    ] = True,
    video: Annotated[bool, typer.Option(help="Write overlay.mp4.")] = True,
) -> None:
    """Play a recorded drive through the real node and measure it.

    Writes metrics.json, report.html and overlay.mp4. Where the bag has labels (mono8 class ids on
    NAMESPACE/label, boxes on NAMESPACE/boxes, stamped as the images) accuracy is measured too.
    Ctrl-C ends early, as does a node that fails; what was played until then is reported.
    """
    from .engines import EngineSettings
    from .replay.player import PlayOptions
    from .replay.run import ReplayOptions, replay
    from .replay.summary import print_outcome
    from .terminal import progress_bars

    if in_process and attach:
        raise typer.BadParameter("--in-process and --attach exclude each other")
    for mode, unused in _NOT_USED.items():
        if context.params[mode]:
            _refuse(context, mode, unused)
    if node != "perception" and not attach:
        raise typer.BadParameter("--node names a node that runs already, so it needs --attach")
    if not fast and is_given(context, "answer_timeout"):
        raise typer.BadParameter("--answer-timeout is of --as-fast-as-possible; leave it out")
    _check_parameters(params or [])
    _end_in_order()
    play = PlayOptions(
        rate=rate,
        lockstep=fast,
        attach=attach,
        domain_id=domain_id,
        node_name=node,
        start_timeout_s=start_timeout,
        answer_timeout_s=answer_timeout,
    )
    options = ReplayOptions(
        bag=bag,
        bundle=bundle,
        out=out,
        topics=tuple(dict.fromkeys(topics or ())),
        engine=engine,
        settings=EngineSettings(precision, device, threads),
        node_parameters=tuple(params or ()),
        in_process=in_process,
        play=play,
        labels=labels,
        video=video,
    )
    with progress_bars() as report:
        outcome = replay(options, report)
    print_outcome(outcome)
    if outcome.evaluation.failure:
        raise ReplayError(outcome.evaluation.failure)
    if not outcome.evaluation.complete:
        raise typer.Exit(130)


def _refuse(context: typer.Context, mode: str, unused: Sequence[str]) -> None:
    """Raise BadParameter if one of these options was given on the command line."""
    names = {item.name: item.opts[0] for item in context.command.params}
    for name in unused:
        if is_given(context, name):
            where = ": the running node has its own settings" if mode == "attach" else ""
            raise typer.BadParameter(f"{names[mode]} does not use {names[name]}{where}; leave it out")


def _check_parameters(assignments: Sequence[str]) -> None:
    """Raise BadParameter for what replay sets itself: the results would be told as another model's.

    Unknown names, too: the node says only in its log that it does not use them.
    """
    for text in assignments:
        name = text.partition(":=")[0].rpartition(":")[2]  # NODE:NAME:=VALUE is ROS's, too
        if name in _SET_BY:
            raise typer.BadParameter(f"--param does not set {name} here; use {_SET_BY[name]}")
        if name == "autostart":
            raise typer.BadParameter("replay starts the node itself, so --param does not set autostart")
        known = _node_parameters()
        if known and name not in known and not name.startswith("qos_overrides."):
            from .strict import did_you_mean

            hint = did_you_mean(name, known, "known")
            raise typer.BadParameter(f"--param {text}: the node has no parameter '{name}' ({hint})")


def _node_parameters() -> list[str]:
    """Names; none where ROS is missing, which is said later, with the remedy."""
    try:
        from .ros.parameters import BY_NAME
    except ImportError:
        return []
    return [*BY_NAME, "use_sim_time"]


def _end_in_order() -> None:
    """Let what `timeout`, service managers and a terminal that closes send do what Ctrl-C does, once."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
