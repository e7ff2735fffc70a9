"""What a training runs on, as options that several commands share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class StrategyName(str, Enum):
    """How several processes share the work."""

    auto = "auto"
    ddp = "ddp"
    fsdp = "fsdp"


class AcceleratorName(str, Enum):
    """What to train on."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


ThreadsOption = Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")]
DevicesOption = Annotated[
    int, typer.Option(min=1, help="GPUs, or processes on CPU, that share each batch; of each node.")
]
NodesOption = Annotated[int, typer.Option(min=1, help="Machines, with one shared run folder.")]
StrategyOption = Annotated[
    StrategyName, typer.Option(help="ddp: each has the whole network; fsdp: the teacher is split up too.")
]
AcceleratorOption = Annotated[AcceleratorName, typer.Option(help="What to train on.")]
