"""Means, spreads and paired differences, worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_perception.compare.spread import difference, spread


def test_spread_of_three_values_worked_by_hand() -> None:
    # Mean 0.72; squared deviations 0.0004 + 0 + 0.0004; / (3 - 1) = 0.0004; root 0.02.
    found = spread([0.70, 0.72, 0.74])
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.72), pytest.approx(0.02), 3)


def test_one_value_has_no_spread() -> None:
    assert (spread([0.5]).mean, spread([0.5]).sd) == (0.5, None)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_spread_is_numpys_sample_standard_deviation(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_differences_are_paired_by_seed() -> None:
    # Seed 1: 0.71 - 0.70 = 0.01, seed 2: 0.75 - 0.72 = 0.03; mean 0.02; sd root(2 * 0.01^2 / 1) = 0.0141421.
    # Seeds 3 and 4 have no partner. Unpaired means would differ by 0.74 - 0.68.
    found = difference({"1": 0.71, "2": 0.75, "3": 0.76}, {"2": 0.72, "1": 0.70, "4": 0.62})
    assert (found.mean, found.pairs) == (pytest.approx(0.02), 2)
    assert found.sd == pytest.approx(0.0141421, abs=1e-6)


def test_pairing_removes_what_both_share() -> None:
    baseline = {str(seed): value for seed, value in enumerate([0.60, 0.70, 0.80])}
    better = {seed: value + 0.01 for seed, value in baseline.items()}
    found = difference(better, baseline)
    assert (found.mean, found.sd) == (pytest.approx(0.01), pytest.approx(0.0, abs=1e-9))


def test_without_a_common_seed_the_means_are_compared_without_a_spread() -> None:
    found = difference({"1": 0.72, "2": 0.74}, {"3": 0.70})
    assert (found.mean, found.sd, found.pairs) == (pytest.approx(0.03), None, 0)


def test_a_single_pair_has_no_spread() -> None:
    assert difference({"1": 0.72}, {"1": 0.70}).sd is None
