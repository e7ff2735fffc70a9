"""The recipe's model section."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.models.spec import FpnSpec, ModelSpec, TwoBranchSpec


def test_a_recipe_of_earlier_keys_has_the_decoder_that_they_named() -> None:
    earlier = {"decoder": None, "decoder_width": 128, "decoder_dense": True, "decoder_detail": 48}
    spec = ModelSpec.model_validate({"encoder": "efficientnet_lite2", **earlier})
    assert spec.decoder == FpnSpec(width=128, dense=True, detail=48)
    assert spec.tasks == ("segmentation",)


def test_decoder_by_name_brings_its_own_options() -> None:
    spec = ModelSpec.model_validate({"decoder": {"name": "two_branch", "width": 32}})
    assert spec.decoder == TwoBranchSpec(name="two_branch", width=32, blocks=1)


def test_naming_the_decoder_both_ways_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown key 'decoder_width'"):
        ModelSpec.model_validate({"decoder": {"name": "bifpn"}, "decoder_width": 32})


@pytest.mark.parametrize(
    "raw",
    [
        {"decoder": {"name": "deeplabv3plus", "dilations": [3, 6]}, "tasks": ["segmentation", "detection"]},
        {"decoder": {"name": "fpn", "width": 48}, "pretrained": "weights/net.pth"},
    ],
)
def test_a_saved_section_reads_back_the_same(raw: dict[str, object]) -> None:
    spec = ModelSpec.model_validate(raw)
    assert ModelSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


def test_pretrained_is_a_switch_or_a_path() -> None:
    assert ModelSpec.model_validate({"pretrained": False}).pretrained is False
    assert ModelSpec.model_validate({"pretrained": "a/b.safetensors"}).pretrained == Path("a/b.safetensors")


def test_an_option_of_another_decoder_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown key 'repeats'"):
        ModelSpec.model_validate({"decoder": {"name": "fpn", "repeats": 3}})


def test_an_unknown_decoder_is_told_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="two_branch"):
        ModelSpec.model_validate({"decoder": {"name": "unet"}})


@pytest.mark.parametrize("tasks", [[], ["segmentation", "segmentation"], ["depth"]])
def test_tasks_are_some_known_ones_each_once(tasks: list[str]) -> None:
    with pytest.raises(ValidationError, match="tasks"):
        ModelSpec.model_validate({"tasks": tasks})
