"""Which point of a compression is taken, worked out by hand."""

import pytest

from training.compression.points import Measured, Point, choose, pareto
from training.compression.report import table
from training.errors import TrainingError
from training.export.gate import Budget


def point(name: str, miou: float, map50: float, ms: float) -> Measured:
    made = Point(name, "fp32", 4_000_000, 1_000_000, 0.0, 500_000_000, {"miou": miou, "map50": map50})
    return Measured(made, {"openvino": ms, "onnxruntime": 2 * ms})


POINTS = [
    point("start", 0.700, 0.50, 20),
    point("pruned", 0.650, 0.48, 12),
    point("finetuned", 0.694, 0.495, 12.5),
    point("int8", 0.692, 0.47, 7),  # mAP50 loses three points
    point("qat", 0.691, 0.499, 7.5),
]


@pytest.mark.parametrize(
    ("drop", "ms", "name"),
    [
        (1.0, None, "qat"),  # the fastest that loses no more than a point of either task
        (5.0, None, "int8"),
        (0.0, None, "start"),
        (1.0, 13.0, "finetuned"),  # fast enough: the one that loses least
        (1.0, 8.0, "qat"),
    ],
)
def test_both_limits_hold(drop: float, ms: float | None, name: str) -> None:
    assert choose(POINTS, "openvino", Budget(drop / 100), ms).point.name == name


def test_of_points_that_are_as_fast_the_one_that_loses_least_is_taken() -> None:
    """Half a percent is chance: it is not worth a point of mAP50."""
    close = [*POINTS, point("ptq", 0.695, 0.499, 7.54)]
    assert choose(close, "openvino", Budget(0.01), None).point.name == "ptq"
    assert [item.point.name for item in pareto(close, "openvino")] == ["int8", "ptq", "start"]


def test_boxes_may_lose_more_or_less_than_masks() -> None:
    assert choose(POINTS, "openvino", Budget(0.01, max_map50_drop=0.04), None).point.name == "int8"
    assert choose(POINTS, "openvino", Budget(0.01, max_map50_drop=0.0), None).point.name == "start"


def test_what_the_gate_refused_is_passed_over_and_said() -> None:
    budget = Budget(0.01)
    assert choose(POINTS, "openvino", budget, None, {"qat": "masks differ"}).point.name == "finetuned"
    everything = {item.point.name: "masks differ" for item in POINTS}
    with pytest.raises(TrainingError, match=r"refused every step.*qat was refused: masks differ"):
        choose(POINTS, "openvino", budget, None, everything)


def test_no_point_within_the_limits_says_what_comes_nearest() -> None:
    with pytest.raises(TrainingError, match=r"nearest is finetuned: 0\.60 points, 12\.5 ms"):
        choose(POINTS[:3], "openvino", Budget(0.005), 15.0)


def test_pareto_front_leaves_out_what_another_beats_in_both() -> None:
    front = pareto([*POINTS, point("worse", 0.69, 0.49, 14)], "openvino")
    assert [item.point.name for item in front] == ["int8", "qat", "finetuned", "start"]


def test_table_has_a_row_a_point_with_both_engines_and_tasks() -> None:
    head, _, first, *_ = table(POINTS).splitlines()
    assert head == (
        "| step | file MB | parameters M | zeros | GMACs | openvino ms | onnxruntime ms | mIoU | mAP50 |"
    )
    assert first == "| start | 4.00 | 1.000 | 0% | 0.500 | 20.00 | 40.00 | 70.00 | 50.00 |"
