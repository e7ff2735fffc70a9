"""What a staged recipe stands for, and the mistakes in it."""

from pathlib import Path

import pytest
import yaml

from training.errors import TrainingError
from training.models.spec import FpnSpec
from training.recipe import Recipe, load_recipe

KL = {"name": "kl"}


def recipe(*stages: dict[str, object], **changes: object) -> Recipe:
    values = {
        "name": "x",
        "seed": 2,
        "model": {"decoder": {"name": "fpn", "width": 32}},
        "data": {
            "train": [{"name": "a", "path": "t"}],
            "val": [{"name": "a", "path": "v"}],
            "augment": {"crop": [64, 96], "flip": 0.25},
        },
        "teacher": {"run": "runs/big"},
        "distillation": [KL],
        "optimizer": {"epochs": 9, "lr": 0.01, "batch": 4},
        "stages": list(stages),
    }
    return Recipe.model_validate({**values, **changes})


def test_a_stage_differs_from_the_recipe_in_what_it_names_and_goes_on_from_the_one_before() -> None:
    stages = recipe(
        {"name": "coarse", "epochs": 3, "augment": {"crop": [32, 32]}},
        {"name": "fine", "epochs": 2, "lr": 0.001, "optimizer": {"ema": 0.5}, "loss": {"lovasz": 1}},
    ).plain_stages(Path("run"))
    (first, coarse), (second, fine) = stages
    assert (first, second) == ("coarse", "fine")
    assert (coarse.data.augment.crop, coarse.data.augment.flip) == ((32, 32), 0.25)
    assert (coarse.optimizer.epochs, coarse.optimizer.lr, coarse.model.init) == (3, 0.01, None)
    assert (fine.data.augment.crop, fine.loss.lovasz, fine.loss.cross_entropy) == ((64, 96), 1.0, 1.0)
    assert (fine.optimizer.epochs, fine.optimizer.lr, fine.optimizer.ema) == (2, 0.001, 0.5)
    assert fine.model.init == Path("run/stages/coarse")
    assert fine.model.decoder == FpnSpec(width=32)
    assert coarse.seed != fine.seed
    assert all(not plain.stages and plain.teacher == coarse.teacher for _, plain in stages)


def test_an_assistant_learns_from_the_teacher_and_teaches_the_student() -> None:
    (_, assistant), (_, coarse), (_, fine) = recipe(
        {"name": "assistant", "epochs": 1, "model": {"encoder": "efficientnet_lite2"}},
        {"name": "coarse", "epochs": 1, "model": {}, "teacher": "assistant"},
        {
            "name": "fine",
            "epochs": 1,
            "teacher": {"ensemble": [{"stage": "assistant", "weight": 2}, {"run": "runs/big"}]},
        },
    ).plain_stages(Path("run"))
    assert assistant.teacher is not None
    assert assistant.teacher.run == Path("runs/big")
    assert (assistant.model.encoder, assistant.model.decoder) == ("efficientnet_lite2", FpnSpec(width=32))
    assert coarse.teacher is not None
    assert coarse.teacher.run == Path("run/stages/assistant")
    assert (coarse.model.encoder, coarse.model.init) == ("efficientnet_lite0", None)
    assert (fine.model.encoder, fine.model.init) == ("efficientnet_lite0", Path("run/stages/coarse"))
    assert fine.teacher is not None
    assert fine.teacher.ensemble is not None
    assert [member.run for member in fine.teacher.ensemble] == [
        Path("run/stages/assistant"),
        Path("runs/big"),
    ]


def test_a_stage_may_do_without_teacher() -> None:
    ((_, labels),) = recipe({"name": "labels", "epochs": 1, "teacher": "none"}).plain_stages(Path("run"))
    assert labels.teacher is None
    assert labels.distillation == []


def test_a_saved_recipe_stands_for_the_same_stages(tmp_path: Path) -> None:
    given = recipe(
        {"name": "a", "epochs": 1}, {"name": "b", "epochs": 2, "distillation": [KL, {"name": "dkd"}]}
    )
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(given.model_dump(mode="json")))
    again = load_recipe(tmp_path / "r.yaml")
    assert again.plain_stages(Path("run")) == given.plain_stages(Path("run"))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"name": "a", "epochs": 1, "lrate": 2}], r"stages\.0.*lrate.*did you mean 'lr'"),
        ([{"name": "a", "epochs": 0}], r"stages\.0\.epochs"),
        ([{"name": "a/b", "epochs": 1}], r"stages\.0\.name"),
        ([{"name": "a", "epochs": 1, "augment": {"crp": 3}}], r"stage 'a'.*'crp'.*did you mean 'crop'"),
        ([{"name": "a", "epochs": 1}] * 2, "stage 'a': the name is taken"),
        ([{"name": "a", "epochs": 1, "distillation": [{"name": "lk"}]}], "stage 'a'.*did you mean 'kl'"),
        (
            [{"name": "big", "epochs": 1}, {"name": "b", "epochs": 1, "teacher": "bg"}],
            "teacher 'bg' is no earlier stage .did you mean 'big'",
        ),
        ([{"name": "a", "epochs": 1, "teacher": "a"}], "no earlier stage .earlier stages: none"),
    ],
)
def test_mistakes_name_the_stage(tmp_path: Path, stages: list[dict[str, object]], message: str) -> None:
    values = recipe().model_dump(mode="json") | {"stages": stages}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(TrainingError, match=message):
        load_recipe(tmp_path / "r.yaml")
