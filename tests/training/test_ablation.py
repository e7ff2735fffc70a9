"""One recipe with several lists of losses."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from distill_perception.cli import app as other_half
from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.ablation import Ablation, ablate
from training.cli import app
from training.errors import TrainingError
from training.recipe import Recipe, read_spec
from training.train import train

RECIPES = Path(__file__).resolve().parents[2] / "training" / "recipes"


def content(recipe: object = None, **changes: object) -> dict[str, object]:
    values = {"recipe": recipe, "arms": {"kl": [{"name": "kl"}]}, "seeds": [1]}
    return {**values, **changes}


def test_the_shipped_ablation_tries_every_loss() -> None:
    from training.distillation.losses.registry import TERMS

    shipped = read_spec(RECIPES / "ablation.yaml", Ablation)
    assert {entry.name for losses in shipped.arms.values() for entry in losses} == set(TERMS)
    names = [recipe.name for recipe in shipped.recipes()]
    assert names[0] == "labels_s1"
    assert len(names) == len(set(names)) == 2 * (len(shipped.arms) + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"kl": [{"name": "lk"}]}}, r"arms\.kl\.0.*did you mean 'kl'"),
        ({"arms": {"labels": []}}, "'labels' is the baseline"),
        ({"seed": 1}, "seed.*did you mean 'seeds'"),
        ({"teacher": None}, "needs a teacher"),
        (
            {
                "teacher": {"run": "r", "cache": "caches"},
                "arms": {
                    "kl": [{"name": "kl"}],
                    "maps": [{"name": "hint", "student": "decoder", "teacher": "model.decoder"}],
                },
            },
            r"arms\.maps: teacher\.cache holds .* distillation\.0 .hint. compare its feature maps",
        ),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path, teacher={"run": "r"}).model_dump(mode="json")
    if "teacher" in changes:
        recipe["teacher"] = changes.pop("teacher")
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content(recipe, **changes)))
    with pytest.raises(TrainingError, match=message):
        read_spec(tmp_path / "a.yaml", Ablation)


def test_labels_alone_have_no_teacher_in_any_stage(tmp_path: Path) -> None:
    runs = {run.name: run for run in read_spec(RECIPES / "camvid_live.yaml", Ablation).recipes()}
    taught = {
        name: [stage for _, stage in runs[name].plain_stages(tmp_path)] for name in ("labels_s1", "cwd_s1")
    }
    assert [(stage.teacher, stage.distillation) for stage in taught["labels_s1"]] == [(None, [])] * 2
    assert all(stage.teacher is not None for stage in taught["cwd_s1"])
    assert [entry.name for entry in taught["cwd_s1"][1].distillation] == ["cwd", "heatmap", "localization"]


def test_a_stage_with_losses_of_its_own_would_be_the_same_in_every_arm(tmp_path: Path) -> None:
    stage = {"name": "fine", "epochs": 1, "distillation": [{"name": "kl"}]}
    recipe = tiny_recipe(tmp_path, tmp_path, teacher={"run": "r"}, stages=[stage]).model_dump(mode="json")
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content(recipe)))
    with pytest.raises(TrainingError, match=r"recipe\.stages: 'fine' has a distillation list of its own"):
        read_spec(tmp_path / "a.yaml", Ablation)


def test_runs_can_be_chosen_and_a_slip_lists_what_there_is(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path, teacher={"run": "r"}).model_dump(mode="json")
    ablation = Ablation.model_validate(content(recipe, seeds=[1, 2]))
    order: list[str] = []

    def note(recipe: Recipe, *_: object, **__: object) -> None:
        order.append(recipe.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.ablation.train", note)
        assert ablate(ablation, tmp_path, print, only=["kl_s2", "labels_*"])[0] == tmp_path / "kl_s2"
    assert order == ["kl_s2", "labels_s1", "labels_s2"]
    with pytest.raises(TrainingError, match=r"--only kl_s3: no such run; there are: labels_s1, kl_s1"):
        ablate(ablation, tmp_path, print, only=["kl_s3"])


@pytest.mark.slow
def test_arms_are_trained_once_and_compared_with_labels_only(tmp_path: Path) -> None:
    folders = (
        write_color_blocks(tmp_path / "train", 4, seed=1),
        write_color_blocks(tmp_path / "val", 2, seed=2),
    )
    train(tiny_recipe(*folders, epochs=1), tmp_path / "teacher")
    recipe = tiny_recipe(*folders, epochs=1, teacher={"run": tmp_path / "teacher"}).model_dump(mode="json")
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content(recipe, seeds=[1, 2])))
    for _ in range(2):  # the second call finds everything done
        done = CliRunner().invoke(app, ["ablate", str(tmp_path / "a.yaml"), "--out", str(tmp_path / "r")])
        assert done.exit_code == 0, done.output
    results = {path.parent.name: path for path in (tmp_path / "r").glob("*/result.json")}
    assert set(results) == {"labels_s1", "kl_s1", "labels_s2", "kl_s2"}
    assert "compare" in done.stdout
    table = CliRunner().invoke(other_half, ["compare", str(tmp_path / "r"), "--ablation"])
    assert table.exit_code == 0, table.stderr
    values = [json.loads(results[f"kl_s{seed}"].read_text())["metrics"]["miou/blocks"] for seed in (1, 2)]
    assert f"| kl | {sum(values) / 2:.4f}" in table.stdout
