"""As few layers as possible stay in FP32, and the most sensitive ones."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from training.compression import sensitive_layers
from training.compression.sensitive_layers import fewest_float_layers
from training.errors import TrainingError

ERRORS = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7}


@pytest.fixture
def _known_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitive_layers, "layer_errors", lambda *_: ERRORS)


@pytest.mark.usefixtures("_known_errors")
@pytest.mark.parametrize(
    ("needed", "expected"), [(set(), []), ({"b"}, ["b"]), ({"b", "c"}, ["b", "c"]), ({"d"}, ["d"])]
)
def test_sensitive_layers_that_are_enough_and_none_that_can_be_spared(
    needed: set[str], expected: list[str]
) -> None:
    def fits(layers: Collection[str]) -> bool:
        return needed <= set(layers)

    assert fewest_float_layers(None, Path(), [], fits, 3) == expected


@pytest.mark.usefixtures("_known_errors")
def test_more_than_allowed_is_an_error_that_names_the_worst() -> None:
    with pytest.raises(TrainingError, match=r"2 most sensitive layers in FP32 \(b, d"):
        fewest_float_layers(None, Path(), [], lambda layers: "a" in layers, 2)


def test_boxes_that_move_count_and_their_order_does_not() -> None:
    boxes = np.array([[[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]]], float)
    full = {"mask": np.zeros((1, 4, 4)), "boxes": boxes, "scores": np.array([[0.9, 0.9, 0.0]])}
    order = full | {"boxes": boxes[:, [1, 0, 2]]}
    assert sensitive_layers._difference([full], [order]) == 0
    half = full | {"boxes": boxes + np.array([[5, 0, 5, 0], [0] * 4, [90] * 4])}  # of the first a third
    assert sensitive_layers._difference([full], [half]) == pytest.approx((1 - 1 / 3) / 2)
