"""Ranges of activations from calibration frames: what the network shows, and how much of it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from distill_perception.bundle import GRAPH_INPUT
from training.compression.uniform import Range, scale_and_zero_point, simulate
from training.export.layers import show_tensors
from training.export.session import cpu_session

BINS = 2048
SHRINK = np.linspace(1.0, 0.1, 91)  # candidates: the whole range down to a tenth of it
PERCENTILE = 99.99


@dataclass(frozen=True)
class Histogram:
    """Values that a tensor took over all frames: counts float64 [BINS] between `low` and `high`."""

    low: float
    high: float
    counts: NDArray[np.float64]

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of every bin, float64 [BINS]."""
        width = (self.high - self.low) / BINS
        return self.low + width * (np.arange(BINS) + 0.5)


def collect(path: Path, tensors: Sequence[str], frames: Sequence[NDArray[np.uint8]]) -> dict[str, Histogram]:
    """Histograms of a graph's float tensors; the frames pass twice, for the ends and then for the counts.

    Args:
        frames: uint8 [H,W,3] each.
    """
    ends: dict[str, Range] = dict.fromkeys(tensors, (0.0, 0.0))  # 0 is always in the range
    for values in _values(path, tensors, frames):
        for name, value in values.items():
            low, high = ends[name]
            ends[name] = min(low, float(value.min())), max(high, float(value.max()))
    counts = {name: np.zeros(BINS) for name in tensors}
    for values in _values(path, tensors, frames):
        for name, value in values.items():
            counts[name] += np.histogram(value, BINS, ends[name] if ends[name] != (0, 0) else (0, 1))[0]
    return {name: Histogram(*ends[name], counts[name]) for name in tensors}


def mean_frames(
    path: Path, tensors: Sequence[str], frames: Sequence[NDArray[np.uint8]]
) -> dict[str, NDArray[np.float32]]:
    """Each tensor's mean over the frames, float32 [C,H,W]; `tensors` are [1,C,H,W], frames uint8 [H,W,3]."""
    sums: dict[str, NDArray[np.float32]] = {}
    for values in _values(path, tensors, frames):
        for name, value in values.items():
            sums[name] = value[0] + sums.get(name, np.float32(0))
    return {name: total / np.float32(len(frames)) for name, total in sums.items()}


def _values(
    path: Path, tensors: Sequence[str], frames: Iterable[NDArray[np.uint8]]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """All the tensors of one frame after the other."""
    model = onnx.load(path)
    show_tensors(model, tensors)
    with tempfile.TemporaryDirectory() as scratch:
        open_graph = Path(scratch) / "open.onnx"
        onnx.save(model, str(open_graph))
        as_it_is = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = cpu_session(open_graph, graph_optimization_level=as_it_is)
    for frame in frames:
        found = session.run(list(tensors), {GRAPH_INPUT: np.ascontiguousarray(frame[None])})
        yield dict(zip(tensors, found, strict=True))


def max_range(seen: Histogram, symmetric: bool) -> Range:
    """All that was seen."""
    return seen.low, seen.high


def percentile_range(seen: Histogram, symmetric: bool) -> Range:
    """All but the outermost values, 0.01 % in all (McKinstry et al. 2018, https://arxiv.org/abs/1809.04191)."""
    cumulative = np.cumsum(seen.counts) / seen.counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    width = (seen.high - seen.low) / BINS
    low = seen.low + width * int(np.searchsorted(cumulative, tail))
    high = seen.low + width * (int(np.searchsorted(cumulative, 1 - tail)) + 1)
    return min(low, 0.0), max(min(high, seen.high), 0.0)


def mse_range(seen: Histogram, symmetric: bool) -> Range:
    """The candidate with the least mean squared error of the values after quantization."""
    values, counts = torch.from_numpy(seen.centres).float(), torch.from_numpy(seen.counts)

    def error(low: float, high: float) -> float:
        back = simulate(values, torch.tensor(low), torch.tensor(high), symmetric)
        return float((counts * (values - back) ** 2).sum())

    return _best(seen, error)


def entropy_range(seen: Histogram, symmetric: bool) -> Range:
    """The candidate whose quantized distribution has the least KL divergence from what was seen.

    Migacz, "8-bit Inference with TensorRT" (GTC 2017): values outside go to the range's ends, the bins inside
    are merged into levels, each level's count is spread over those of its bins that are not empty. Zeros are
    left out: a rectified tensor has very many, they are exact anyway, and spread out they would look lost.
    """
    counts = seen.counts.copy()
    zero = int(np.abs(seen.centres).argmin())
    counts[zero] = np.mean([counts[place] for place in (zero - 1, zero + 1) if 0 <= place < BINS])

    def divergence(low: float, high: float) -> float:
        inside = (seen.centres >= low) & (seen.centres <= high)
        kept = counts[inside]
        scale = scale_and_zero_point(torch.tensor(low), torch.tensor(high), symmetric)[0].item()
        level = np.round(seen.centres[inside] / scale).astype(int)
        level -= level.min()
        if len(kept) <= level.max():
            return np.inf
        reference = kept.copy()
        reference[0] += counts[seen.centres < low].sum()
        reference[-1] += counts[seen.centres > high].sum()
        filled = kept > 0
        share = np.bincount(level, kept) / np.maximum(np.bincount(level, filled), 1)
        quantized = np.where(filled, share[level], 0)
        return _kl(reference, quantized)

    return _best(seen, divergence)


def _best(seen: Histogram, cost: Callable[[float, float], float]) -> Range:
    if seen.low == seen.high:
        return seen.low, seen.high
    candidates = [(seen.low * share, seen.high * share) for share in SHRINK]
    return min(candidates, key=lambda ends: cost(*ends))


def _kl(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    p, q = reference / reference.sum(), other / max(other.sum(), 1e-300)
    here = p > 0
    return float((p[here] * np.log(p[here] / np.maximum(q[here], 1e-12))).sum())


# Whether the engine's range will be symmetric matters to some: a rectified tensor then has half the levels.
CALIBRATORS: dict[str, Callable[[Histogram, bool], Range]] = {
    "max": max_range,
    "percentile": percentile_range,
    "entropy": entropy_range,
    "mse": mse_range,
}
