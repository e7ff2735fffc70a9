"""As few layers as possible stay in FP32, and the most sensitive ones."""

from collections.abc import Collection
from pathlib import Path

import pytest

from training.compression import sensitive_layers
from training.compression.sensitive_layers import fewest_float_layers
from training.errors import TrainingError

ERRORS = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7}


@pytest.fixture(autouse=True)
def _known_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitive_layers, "layer_errors", lambda *_: ERRORS)


@pytest.mark.parametrize(
    ("needed", "expected"), [(set(), []), ({"b"}, ["b"]), ({"b", "c"}, ["b", "d", "c"]), ({"d"}, ["b", "d"])]
)
def test_most_sensitive_layers_that_are_enough(needed: set[str], expected: list[str]) -> None:
    def fits(layers: Collection[str]) -> bool:
        return needed <= set(layers)

    assert fewest_float_layers(None, Path(), [], fits, 3) == expected


def test_more_than_allowed_is_an_error_that_names_the_worst() -> None:
    with pytest.raises(TrainingError, match=r"2 most sensitive layers in FP32 \(b, d"):
        fewest_float_layers(None, Path(), [], lambda layers: "a" in layers, 2)
