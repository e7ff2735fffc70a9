"""Does the exported graph say what the trained network says? Asked on real frames, engine by engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from distill_perception.bundle import Bundle
from distill_perception.engines import ENGINES, EngineSettings, engine_problems, open_engine
from training.errors import TrainingError
from training.export.graph import DeployedSegmenter

MIN_AGREEMENT = 0.999
MAX_CONFIDENCE_STEPS = 3


@dataclass(frozen=True)
class Parity:
    """How one engine compares with torch over the frames."""

    engine: str
    frames: int
    mask_agreement: float
    max_confidence_difference: int

    @property
    def passes(self) -> bool:
        """Within the gate's limits."""
        close = self.max_confidence_difference <= MAX_CONFIDENCE_STEPS
        return self.mask_agreement >= MIN_AGREEMENT and close


def measure_parity(model: DeployedSegmenter, bundle: Bundle, frames: NDArray[np.uint8]) -> list[Parity]:
    """Compare every CPU engine that works here with torch in float32.

    Args:
        frames: uint8 [N,H,W,3] in the bundle's size and channel order.
    """
    with torch.inference_mode():
        expected = [tuple(t.numpy() for t in model(torch.from_numpy(f[None]))) for f in frames]
    results = []
    for name in ENGINES:
        if engine_problems()[name] is not None:
            continue
        engine = open_engine(bundle, name, EngineSettings("fp32"))
        agreement, worst = 0.0, 0
        for frame, (mask, confidence) in zip(frames, expected, strict=True):
            found = engine.infer(frame[None])
            agreement += float((found["mask"] == mask).mean())
            difference = np.abs(found["confidence"].astype(int) - confidence.astype(int)).max()
            worst = max(worst, int(difference))
        engine.close()
        results.append(Parity(name, len(frames), agreement / len(frames), worst))
    return results


def require_parity(results: list[Parity]) -> None:
    """Stop an export whose engines do not agree with torch.

    Raises:
        TrainingError: names the engine and by how much it parts from torch.
    """
    if not results:
        raise TrainingError("parity: no engine is installed to compare with; pip install onnxruntime")
    for result in results:
        if not result.passes:
            raise TrainingError(
                f"parity: {result.engine} agrees with torch on {result.mask_agreement:.4%} of pixels "
                f"(at least {MIN_AGREEMENT:.1%} wanted), confidence differs by up to "
                f"{result.max_confidence_difference}/255 (at most {MAX_CONFIDENCE_STEPS}); "
                "no bundle was written"
            )
