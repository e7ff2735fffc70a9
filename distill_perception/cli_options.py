"""Options that several commands share."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .errors import ConfigError


def expanded(value: Any) -> Any:
    """A path, or several, with `~` as the home folder: shells leave it to us in `--out=~/results`."""
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return value and Path(os.path.expanduser(value))  # pathlib's raises where there is no such user


def check_utf8(arguments: Sequence[str]) -> None:
    """Refuse names in another encoding, on which OpenCV and others fail, some by ending the process.

    Raises:
        ConfigError: says which argument.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = os.fsencode(argument).decode("utf-8", "backslashreplace")
            raise ConfigError(f"{shown}: this name is not UTF-8; rename it") from error


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option is on the command line, rather than at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


class FiniteNumbers(TyperCommand):
    """A command whose numbers are finite: ranges let nan pass, and inf where they have no end."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(
                    f"{value} is not a finite number.", ctx=ctx, param_hint=f"'{parameter.opts[0]}'"
                )
        return rest


def _assignments(values: list[str] | None) -> list[str] | None:
    """Node parameters as ROS takes them, looked at before anything is opened or started."""
    from .ros.assignments import problem_with_assignment

    for value in values or ():
        if problem := problem_with_assignment(value):
            raise typer.BadParameter(problem)
    return values


def write_file(path: Path, text: str) -> None:
    """Write what a command was asked for, folders included.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


BundleOption = Annotated[
    str, typer.Option("--bundle", "-b", help="Model bundle: a folder, or the name of a shipped one.")
]
EngineOption = Annotated[str, typer.Option(help="auto, tensorrt, openvino or onnxruntime.")]
PrecisionOption = Annotated[
    str, typer.Option(help="Which of the bundle's model files: auto, fp32, fp16, int8, fp8.")
]
DeviceOption = Annotated[str, typer.Option(help="Where the engine runs: auto, cpu, cuda:0, ...")]
ThreadsOption = Annotated[int, typer.Option(min=0, help="CPU threads of the engine; 0 lets it choose.")]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME:=VALUE",
        help="Any other node parameter; may be repeated.",
        callback=_assignments,
    ),
]
