"""Mean and spread over seeds, and differences paired by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1 in the denominator; None for n = 1) of n values."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean and sample standard deviation of the differences of `pairs` seeds.

    With no seed in common `pairs` is 0: then it is the plain difference of the means, without a spread.
    """

    mean: float
    sd: float | None
    pairs: int


def spread(values: Sequence[float]) -> Spread:
    """Summarize at least one value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))


def difference(values: Mapping[str, float], baseline: Mapping[str, float]) -> Difference:
    """How far `values` (by seed) lie above `baseline` (by seed); neither is empty."""
    common = [seed for seed in values if seed in baseline]
    if not common:
        return unpaired(values, baseline)
    paired = spread([values[seed] - baseline[seed] for seed in common])
    return Difference(paired.mean, paired.sd, paired.n)


def unpaired(values: Mapping[str, float], baseline: Mapping[str, float]) -> Difference:
    """Difference of the means, whatever the seeds."""
    return Difference(statistics.fmean(values.values()) - statistics.fmean(baseline.values()), None, 0)
