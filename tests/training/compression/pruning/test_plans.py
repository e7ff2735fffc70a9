"""Which plan is taken, given what each costs."""

import pytest

from training.compression.pruning.plans import Cut, mildest, sensitive_plans, uniform_plans
from training.errors import TrainingError

WIDTHS = {"a": 64, "b": 32}


def test_uniform_plans_grow_stronger_in_multiples() -> None:
    plans = uniform_plans(WIDTHS, 0.75, 8)
    assert plans[-1] == {"a": 16, "b": 8}
    assert all(width % 8 == 0 for plan in plans for width in plan.values())
    totals = [sum(plan.values()) for plan in plans]
    assert totals == sorted(totals, reverse=True)


def test_cuts_that_cost_least_for_what_they_save_come_first() -> None:
    cuts = [
        Cut("a", 48, 0.001, 0.30),  # 0.01 a unit
        Cut("a", 32, 0.118, 0.40),  # 0.3
        Cut("b", 24, -0.01, 0.02),  # a gain by chance counts as none: 0.1
        Cut("b", 16, 0.198, 0.04),  # 5
    ]
    assert sensitive_plans(WIDTHS, cuts) == [
        {"a": 48, "b": 32},
        {"a": 48, "b": 24},
        {"a": 32, "b": 24},
        {"a": 32, "b": 16},
    ]


def test_a_milder_cut_does_not_undo_a_deeper_one() -> None:
    cuts = [Cut("a", 48, 0.05, 0.1), Cut("a", 16, 0.05, 0.6)]
    assert sensitive_plans(WIDTHS, cuts) == [{"a": 16, "b": 32}]


@pytest.mark.parametrize("target", [0.9, 0.5, 0.34])
def test_the_mildest_plan_that_is_fast_enough_is_taken(target: float) -> None:
    plans = [{"a": width} for width in range(63, 15, -1)]
    index = mildest(plans, lambda plan: plan["a"] / 64, target, "latency")
    assert plans[index] == {"a": int(target * 64)}


def test_a_target_out_of_reach_says_what_is_in_reach() -> None:
    with pytest.raises(TrainingError, match=r"strongest plan takes 50% of the macs, 40% was asked for"):
        mildest([{"a": 32}], lambda plan: 0.5, 0.4, "macs")
