"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import ConfigError


def expanded(value: Any) -> Any:
    """A path, or several, with `~` as the home folder: shells leave it to us in `--out=~/results`."""
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return value and Path(os.path.expanduser(value))  # pathlib's raises where there is no such user


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
    typer.Option("--param", "-p", metavar="NAME:=VALUE", help="Any other node parameter; may be repeated."),
]
