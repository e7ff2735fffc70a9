"""The recipe's loss entries: names, keys and values, schedules over the training."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill_perception.strict import StrictModel, describe_validation_error
from training.distillation.losses.cwd import CwdSpec
from training.distillation.losses.kl import KlSpec
from training.distillation.losses.registry import TERMS
from training.distillation.schedule import Schedule
from training.distillation.spec import LossEntries

RECIPE = """
distillation:
  - {name: kl, weight: {start: 1, end: 0.2, shape: cosine}, temperature: {start: 8, end: 1, window: [0, 0.5]}}
  - {name: cwd, weight: 3, student: decoder, teacher: decode_head.linear_fuse}
"""


class Recipe(StrictModel):
    distillation: LossEntries


def refusal(entry: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Recipe(distillation=[entry])
    return describe_validation_error(caught.value)


def test_a_recipe_names_losses_weights_and_layers() -> None:
    kl, cwd = Recipe(**yaml.safe_load(RECIPE)).distillation
    assert isinstance(kl, KlSpec)
    assert isinstance(cwd, CwdSpec)
    assert (cwd.student, cwd.teacher, cwd.temperature.at(0.3)) == ("decoder", "decode_head.linear_fuse", 4.0)
    assert [kl.temperature.at(p) for p in (0.0, 0.25, 0.5, 1.0)] == [8.0, 4.5, 1.0, 1.0]
    assert [cwd.weight.at(p) for p in (0.0, 1.0)] == [3.0, 3.0]


def test_a_dumped_recipe_reads_back_the_same_with_constants_as_numbers() -> None:
    recipe = Recipe(**yaml.safe_load(RECIPE))
    dumped = recipe.model_dump(mode="json")
    assert dumped["distillation"][1]["weight"] == 3.0
    assert Recipe(**yaml.safe_load(yaml.safe_dump(dumped))) == recipe


def test_every_loss_stands_in_the_registry_under_its_own_name() -> None:
    assert {name: term.Spec.model_fields["name"].default for name, term in TERMS.items()} == {
        n: n for n in TERMS
    }


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "cirdk"}, "distillation.0: unknown loss 'cirdk' (did you mean 'cirkd'?)"),
        (
            {"name": "zzz"},
            "distillation.0: unknown loss 'zzz' (known losses: pseudo_labels, soft_cross_entropy, kl",
        ),
        ({"weight": 1}, "distillation.0: no name (known losses: "),
        (
            {"name": "kl", "temprature": 2},
            "distillation.0.kl: unknown key 'temprature' (did you mean 'temperature'?)",
        ),
        ({"name": "kl", "temperature": 0}, "distillation.0.kl.temperature: must be above 0"),
        ({"name": "kl", "weight": -1}, "distillation.0.kl.weight: must not be negative"),
        ({"name": "kl", "weight": {"start": 1, "end": -1}}, "distillation.0.kl.weight: must not be negative"),
        ({"name": "kl", "weight": "high"}, "distillation.0.kl.weight: give a number, or {start, end"),
        ({"name": "kl", "weight": {"from": 1, "end": 2}}, "distillation.0.kl.weight: unknown key 'from'"),
        ({"name": "hint", "student": "neck"}, "distillation.0.hint.teacher: Field required"),
        (
            {"name": "kl", "weight": {"start": 1, "end": 0, "window": [0.5, 0.2]}},
            "distillation.0.kl.weight: window: needs 0 <= from < to <= 1, not [0.5, 0.2]",
        ),
        (
            {"name": "kl", "weight": {"start": 1, "end": 0, "window": [0.5, 0.5]}},
            "distillation.0.kl.weight: window: ",
        ),
    ],
)
def test_mistakes_are_named_with_their_place(entry: dict, message: str) -> None:
    assert refusal(entry).startswith(message)


def test_an_entry_that_is_no_mapping_is_refused() -> None:
    assert refusal("kl").startswith("distillation.0: ")


def test_cosine_schedule_by_hand() -> None:
    schedule = Schedule(start=2.0, end=1.0, shape="cosine", window=(0.2, 0.8))
    assert schedule.at(0.1) == 2.0
    assert schedule.at(0.35) == pytest.approx(2 - (1 - math.cos(math.pi / 4)) / 2)
    assert schedule.at(0.5) == pytest.approx(1.5)
    assert schedule.at(0.9) == 1.0


@given(
    start=st.floats(0, 10),
    end=st.floats(0, 10),
    shape=st.sampled_from(["linear", "cosine"]),
    p=st.floats(-1, 2),
)
def test_schedules_stay_between_their_ends(start: float, end: float, shape: str, p: float) -> None:
    value = Schedule(start=start, end=end, shape=shape).at(p)
    assert min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9
