"""Latency of several bundles on an engine of this machine, measured in turns.

A machine's speed drifts (clock, temperature, neighbours); in turns, all bundles see the same drift, so their
ratios hold even where the milliseconds do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np

from distill_perception.bench import noise, take_turns
from distill_perception.bundle import Bundle
from distill_perception.engines import EngineSettings, open_engine


@dataclass(frozen=True)
class Candidate:
    """One precision of a bundle."""

    bundle: Bundle
    precision: str = "fp32"


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
    with ExitStack() as stack:
        calls = []
        for item in candidates:
            opened = open_engine(item.bundle, engine, EngineSettings(item.precision, device, threads))
            stack.callback(opened.close)
            calls.append(partial(opened.infer, noise(1, opened.input_size)))
        return [float(np.median(taken)) for taken in take_turns(calls, rounds)]
