"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
