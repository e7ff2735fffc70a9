"""What recipes may say about data, and what they are told when it is wrong."""

from typing import Any

import pytest
from pydantic import ValidationError

from distill_perception.strict import describe_validation_error
from training.data.source_spec import FORMATS
from training.data.sources import SOURCES
from training.data.spec import DataSpec


def data(**changes: Any) -> DataSpec:
    source = {"name": "camvid", "path": "data/camvid"}
    return DataSpec.model_validate({"train": [source], "val": [source], **changes})


def test_a_source_without_a_format_is_a_labelled_folder() -> None:
    assert data().train[0].format == "folder"


def test_every_format_has_a_spec_and_an_adapter() -> None:
    assert FORMATS.keys() == SOURCES.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": [{"name": "x", "path": "p", "format": "cityscape"}]},
            "train.0: unknown format 'cityscape' (did you mean 'cityscapes'?)",
        ),
        (
            {"train": [{"name": "x", "path": "p", "format": "cityscapes", "splitt": "val"}]},
            "unknown key 'splitt' (did you mean 'split'?)",
        ),
        (
            {"val": [{"name": "x", "path": "p"}, {"name": "x", "path": "q"}]},
            "two sources are named 'x'",
        ),
        ({"augment": {"cutot": {}}}, "augment: unknown key 'cutot' (did you mean 'cutout'?)"),
        ({"augment": {"flip": 2}}, "augment.flip"),
        ({"augment": {"scale": [1.5, 0.5]}}, "augment.scale: [1.5, 0.5]: the smaller number comes first"),
        ({"augment": {"scale": [0, 0.5]}}, "augment.scale.0"),
        ({"augment": {"cutout": {"holes": [4, 1]}}}, "augment.cutout.holes: [4, 1]: the smaller number"),
        ({"augment": {"cutout": {"size": [20, 40]}}}, "augment.cutout.size.0"),
        ({"train": []}, "train"),
        ({"size": [1, 1]}, "size.0: Input should be greater than or equal to 8"),
    ],
)
def test_mistakes_are_named_with_their_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        data(**changes)
    assert message in describe_validation_error(caught.value)
