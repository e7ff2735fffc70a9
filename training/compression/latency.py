"""Latency of several bundles on an engine of this machine, measured in turns.

A machine's speed drifts (clock, temperature, neighbours); in turns, all bundles see the same drift, so their
ratios hold even where the milliseconds do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill_perception.bundle import Bundle
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.engines.tensorrt.store import VARIABLE

WARM_UP = 3


@dataclass(frozen=True)
class Candidate:
    """One precision of a bundle."""

    bundle: Bundle
    precision: str = "fp32"


@contextmanager
def engines_kept_in(folder: Path) -> Iterator[None]:
    """TensorRT's engines go there meanwhile: nobody loads those of networks that were only tried."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def described(candidate: Candidate, engine: str, device: str) -> str:
    """Engine, its version and the device's name."""
    opened = open_engine(candidate.bundle, engine, EngineSettings(candidate.precision, device))
    opened.close()
    return opened.description


def latencies_ms(
    candidates: Sequence[Candidate], engine: str, rounds: int = 20, threads: int = 0, device: str = "cpu"
) -> list[float]:
    """Median time of one frame through each candidate, in milliseconds.

    Args:
        rounds: frames each; threads: 0 leaves the engine's choice. device: as the engine understands it.

    Raises:
        EngineError: the engine is not there or cannot load a candidate.
    """
    engines = [
        open_engine(item.bundle, engine, EngineSettings(item.precision, device, threads))
        for item in candidates
    ]
    rng = np.random.default_rng(0)
    inputs = [item.bundle.manifest.input for item in candidates]
    frames = [rng.integers(0, 256, (1, size.height, size.width, 3), np.uint8) for size in inputs]
    times: list[list[float]] = [[] for _ in candidates]
    for turn in range(WARM_UP + rounds):
        for one, frame, taken in zip(engines, frames, times, strict=True):
            begin = time.perf_counter()
            one.infer(frame)
            if turn >= WARM_UP:
                taken.append((time.perf_counter() - begin) * 1e3)
    for one in engines:
        one.close()
    return [float(np.median(taken)) for taken in times]
