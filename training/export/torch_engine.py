"""The trained network behind the interface of the engines: what every one of them is compared with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from distill_perception.bundle import Bundle
from distill_perception.engines import Engine, EngineSettings
from distill_perception.engines.base import Outputs
from training.export.graph import DeployedNet


class TorchEngine(Engine):
    """A bundle's network in torch, in float32, on the CPU."""

    name = "torch"

    def __init__(self, net: DeployedNet, bundle: Bundle) -> None:
        super().__init__(bundle, EngineSettings("fp32"))
        self.description = f"torch {torch.__version__}, cpu, fp32"
        self._net = net.eval()

    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        with torch.inference_mode():
            answer = self._net(torch.from_numpy(frames))
        return dict(zip(self.output_names, (part.numpy() for part in answer), strict=True))

    def close(self) -> None:
        """Nothing is held."""
