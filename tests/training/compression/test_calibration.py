"""Ranges from histograms whose right answer is known."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from training.compression.calibration import BINS, CALIBRATORS, Histogram, collect

RNG = np.random.default_rng(0)
BULK = RNG.normal(size=200_000)


def seen(values: NDArray[np.float64]) -> Histogram:
    low, high = min(0.0, values.min()), max(0.0, values.max())
    return Histogram(low, high, np.histogram(values, BINS, (low, high))[0].astype(float))


def error(values: NDArray[np.float64], low: float, high: float) -> float:
    scale = (high - low) / 255
    back = low + scale * np.round((np.clip(values, low, high) - low) / scale)
    return float(((values - back) ** 2).mean())


def test_collecting_sees_every_value_of_every_frame(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["raw", "middle"], ["out"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 4, 5, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 4, 5, 3])
    middle = helper.make_tensor("middle", TensorProto.FLOAT, [], [100.0])
    graph = helper.make_graph(nodes, "g", [images], [out], [middle])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(tmp_path / "g.onnx"))
    frames = [RNG.integers(0, 256, (4, 5, 3), np.uint8) for _ in range(3)]
    histogram = collect(tmp_path / "g.onnx", ["out"], frames)["out"]
    values = np.stack(frames).astype(float) - 100
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    expected = np.histogram(values, BINS, (values.min(), values.max()))[0]
    assert np.array_equal(histogram.counts, expected)


def test_max_takes_everything() -> None:
    assert CALIBRATORS["max"](seen(BULK), False) == (BULK.min(), BULK.max())


def test_percentile_is_numpys() -> None:
    low, high = CALIBRATORS["percentile"](seen(BULK), False)
    width = (BULK.max() - BULK.min()) / BINS
    assert low == pytest.approx(np.percentile(BULK, 0.005), abs=2 * width)
    assert high == pytest.approx(np.percentile(BULK, 99.995), abs=2 * width)


@pytest.mark.parametrize("name", ["percentile", "entropy"])
def test_a_few_outliers_do_not_stretch_the_range(name: str) -> None:
    values = np.concatenate((np.abs(BULK), [40.0, 41.0]))
    low, high = CALIBRATORS[name](seen(values), False)
    assert low == 0
    assert np.abs(BULK).max() * 0.5 < high < 20
    assert error(np.abs(BULK), low, high) < error(np.abs(BULK), 0, 41)


@pytest.mark.parametrize("name", CALIBRATORS)
def test_many_zeros_of_a_rectified_tensor_do_not_narrow_the_range(name: str) -> None:
    values = np.clip(3 * BULK - 3, 0, 6)  # five of six are zero, some saturate
    low, high = CALIBRATORS[name](seen(values), False)
    assert error(values, low, high) < 2 * error(values, 0, values.max())


def test_mse_has_the_least_error_of_all_shrunken_ranges() -> None:
    values = RNG.laplace(size=100_000)
    low, high = CALIBRATORS["mse"](seen(values), False)
    candidates = [error(values, values.min() * s, values.max() * s) for s in np.linspace(1, 0.1, 91)]
    assert error(values, low, high) <= min(candidates) * 1.02


def test_mse_of_a_rectified_tensor_counts_the_levels_that_a_symmetric_range_leaves() -> None:
    values = np.concatenate((RNG.exponential(2, 100_000), np.full(3, 40.0)))

    def lost(high: float) -> float:
        scale = high / 127
        return float(((values - scale * np.clip(np.round(values / scale), -127, 127)) ** 2).mean())

    _, high = CALIBRATORS["mse"](seen(values), True)
    assert lost(high) <= min(lost(40 * share) for share in np.linspace(1, 0.1, 91)) * 1.02
    assert high < CALIBRATORS["mse"](seen(values), False)[1]


def test_entropy_has_the_least_divergence_of_all_shrunken_ranges_at_either_number_of_levels() -> None:
    """Of a rectified tensor, whose symmetric range has half the levels; written out as Migacz's slides do."""
    values = 0.2 + np.random.default_rng(0).lognormal(size=100_000)
    histogram = seen(values)

    def divergence(high: float, levels: int) -> float:
        kept = int((histogram.centres <= high).sum())
        p = histogram.counts[:kept].copy()
        q = np.zeros(kept)
        owner = np.minimum((histogram.centres[:kept] * (levels - 1) / high + 0.5).astype(int), levels - 1)
        for one in range(levels):
            mine = (owner == one) & (p > 0)
            if mine.any():
                q[mine] = p[mine].mean()
        p[-1] += histogram.counts[kept:].sum()
        q = np.maximum(q / q.sum(), 1e-12)
        return float(sum(a * np.log(a / b) for a, b in zip(p / p.sum(), q, strict=True) if a > 0))

    chosen = {}
    for symmetric, levels in ((False, 256), (True, 128)):
        costs = {high: divergence(high, levels) for high in values.max() * np.linspace(1, 0.13, 88)}
        _, chosen[symmetric] = CALIBRATORS["entropy"](histogram, symmetric)
        assert divergence(chosen[symmetric], levels) <= min(costs.values()) * 1.02
    assert chosen[True] < chosen[False]


@pytest.mark.parametrize("name", CALIBRATORS)
def test_a_tensor_that_is_always_zero_has_a_range(name: str) -> None:
    counts = np.zeros(BINS)
    counts[0] = 10
    low, high = CALIBRATORS[name](Histogram(0.0, 0.0, counts), False)
    assert low == high == 0
