"""What a training runs on: options of the command line, as the results do not depend on them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import torch

from training.errors import TrainingError, TrainingWarning

Strategy = Literal["auto", "ddp", "fsdp"]
Accelerator = Literal["auto", "cpu", "gpu"]
Precision = Literal["auto", "32", "bf16", "fp16"]

LIGHTNING_PRECISION: dict[Precision, Any] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Hardware:
    """Processes and devices.

    Every process holds the whole student and takes its share of each batch (DDP). With `fsdp` the frozen
    teacher is shared out as well, each process holding a part of its weights (see `shard_teacher`): for
    teachers that are too big for one card. The student and its average are small and stay whole.

    On several GPUs batch norm takes its statistics over all of them; on CPUs each process takes its own, and
    `model.freeze_norm` avoids that. Several nodes need one shared run folder, and each its NODE_RANK,
    MASTER_ADDR and MASTER_PORT, or a launcher that sets them (torchrun, SLURM).

    Attributes:
        devices: GPUs, or processes on CPU, of each node.
        nodes: machines.
    """

    devices: int = 1
    nodes: int = 1
    strategy: Strategy = "auto"
    accelerator: Accelerator = "auto"

    @property
    def processes(self) -> int:
        """Processes of all nodes together."""
        return self.devices * self.nodes

    @property
    def shards_teacher(self) -> bool:
        """Whether the processes share out the teacher's weights."""
        return self.strategy == "fsdp" and self.processes > 1

    @property
    def on_gpu(self) -> bool:
        """Whether training runs on GPUs."""
        return self.accelerator == "gpu" or (self.accelerator == "auto" and torch.cuda.is_available())

    def trainer_options(self, precision: Precision) -> dict[str, Any]:
        """Arguments of Lightning's Trainer."""
        if precision == "auto":
            precision = best_precision(self.on_gpu)
        elif precision == "bf16" and best_precision(self.on_gpu) != "bf16":
            warnings.warn(
                "optimizer.precision: this processor only imitates bf16, at a fraction of the speed of 32; "
                "'auto' takes what is fast",
                TrainingWarning,
                stacklevel=2,
            )
        return {
            "precision": LIGHTNING_PRECISION[precision],
            "accelerator": self.accelerator,
            "devices": self.devices,
            "num_nodes": self.nodes,
            "strategy": "ddp" if self.processes > 1 or self.strategy == "ddp" else "auto",
            "sync_batchnorm": self.on_gpu and self.processes > 1,
        }

    def check(self, batch: int) -> None:
        """Refuse what cannot run.

        Raises:
            TrainingError: there is no GPU, or `batch` frames cannot be shared out equally.
        """
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise TrainingError("--accelerator gpu: torch sees no GPU here; use cpu, or install a CUDA torch")
        if batch % self.processes:
            raise TrainingError(
                f"optimizer.batch: {batch} frames cannot be shared out to {self.processes} processes; "
                "choose a multiple"
            )


def is_first_process() -> bool:
    """Whether this is a training's only process, or the first of the first machine, even before it starts."""
    from lightning.pytorch.utilities import rank_zero_only  # recipes are read without it

    node = os.environ.get("NODE_RANK") or os.environ.get("GROUP_RANK") or "0"  # as Lightning reads them
    return rank_zero_only.rank == 0 and node == "0"


def best_precision(on_gpu: bool) -> Precision:
    """The fastest that trains as well as float32.

    A CPU without bfloat16 instructions is several times slower at it than at float32 (5 times with AVX2); a
    GPU without them (before Ampere) has fast float16.
    """
    if on_gpu:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "32"
