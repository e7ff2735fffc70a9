"""Which plan is taken, given what each costs."""

import pytest

from training.compression.pruning.plans import mildest, sensitive_plans, uniform_plans
from training.errors import TrainingError

WIDTHS = {"a": 64, "b": 32}


def test_uniform_plans_grow_stronger_in_multiples() -> None:
    plans = uniform_plans(WIDTHS, 0.75, 8)
    assert plans[-1] == {"a": 16, "b": 8}
    assert all(width % 8 == 0 for plan in plans for width in plan.values())
    totals = [sum(plan.values()) for plan in plans]
    assert totals == sorted(totals, reverse=True)


def test_groups_that_cost_no_score_are_cut_first_and_gains_by_chance_count_as_none() -> None:
    drops = {"a": {48: 0.0, 32: 0.2}, "b": {24: -0.01, 16: 0.05}}
    plans = sensitive_plans(WIDTHS, drops)
    assert plans == [
        {"a": 48, "b": 32},
        {"a": 48, "b": 24},
        {"a": 48, "b": 16},
        {"a": 32, "b": 16},
    ]


@pytest.mark.parametrize("target", [0.9, 0.5, 0.34])
def test_the_mildest_plan_that_is_fast_enough_is_taken(target: float) -> None:
    plans = [{"a": width} for width in range(63, 15, -1)]
    plan, share = mildest(plans, lambda plan: plan["a"] / 64, target)
    assert plan["a"] == int(target * 64)
    assert share == plan["a"] / 64


def test_a_target_out_of_reach_says_what_is_in_reach() -> None:
    with pytest.raises(TrainingError, match=r"strongest plan takes 50% of the time, 40% was asked for"):
        mildest([{"a": 32}], lambda plan: 0.5, 0.4)
