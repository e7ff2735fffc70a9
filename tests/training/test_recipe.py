"""Recipes: the shipped ones are valid, mistakes are named."""

from pathlib import Path

import pytest
import yaml

from training.ablation import Ablation
from training.errors import TrainingError
from training.recipe import Recipe, load_recipe, read_spec

FOLDER = Path(__file__).parents[2] / "training" / "recipes"
ABLATIONS = sorted(path.stem for path in FOLDER.glob("*.yaml") if "\narms:" in path.read_text())
RECIPES = sorted(path for path in FOLDER.glob("*.yaml") if path.stem not in ABLATIONS)
MINIMAL = {
    "name": "x",
    "data": {"train": [{"name": "a", "path": "t"}], "val": [{"name": "a", "path": "v"}]},
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize("name", ABLATIONS)
def test_arms_of_a_shipped_ablation_differ_in_teacher_and_distillation_alone(name: str) -> None:
    ablation = read_spec(FOLDER / f"{name}.yaml", Ablation)
    same = {"name": "", "teacher": None, "distillation": []}

    def trainings(recipe: Recipe) -> list[Recipe]:
        return [stage for _, stage in recipe.plain_stages(Path("run"))] or [recipe]

    for seed in ablation.seeds:
        baseline, *others = (trainings(recipe) for recipe in ablation.recipes() if recipe.seed == seed)
        assert all(labels.teacher is None and not labels.distillation for labels in baseline)
        for other in others:
            for labels, taught in zip(baseline, other, strict=True):
                assert taught.teacher is not None
                assert taught.distillation
                assert taught.model_copy(update=same) == labels.model_copy(update=same)


def test_unknown_key_is_refused_with_the_nearest_right_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"unknown key 'epoch' .*did you mean 'epochs'"):
        load_recipe(written(tmp_path, {**MINIMAL, "optimizer": {"epoch": 3}}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": {"lr": -1}}, "optimizer.lr"),
        ({"optimizer": {"epochs": 9, "validate_every": 2}}, "2 does not divide the 9 epochs"),
        ({"distillation": [{"name": "kl"}]}, "no teacher section"),
        ({"teacher": {"run": "r"}, "distillation": [{"name": "lk"}]}, "did you mean 'kl'"),
        ({"data": {"train": [], "val": []}}, "data.train"),
    ],
)
def test_bad_values_are_named_with_their_place(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        load_recipe(written(tmp_path, {**MINIMAL, **change}))


CACHED = {"run": "r", "cache": "caches"}
INSIDE = {"student": "decoder", "teacher": "model.decoder"}


def test_losses_that_look_into_a_cached_teacher_are_refused_together(tmp_path: Path) -> None:
    losses = [{"name": "kl"}, {"name": "hint", **INSIDE}, {"name": "cwd"}, {"name": "cwd", **INSIDE}]
    change = {"teacher": CACHED, "distillation": losses}
    with pytest.raises(TrainingError) as caught:
        load_recipe(written(tmp_path, {**MINIMAL, **change}))
    message = str(caught.value)
    assert "distillation.1 (hint), distillation.3 (cwd) compare its feature maps" in message
    assert "remove teacher.cache" in message
    assert "or use losses on outputs (pseudo_labels, soft_cross_entropy, kl," in message


def test_a_cached_teacher_serves_losses_on_outputs(tmp_path: Path) -> None:
    names = ("kl", "mse", "dkd", "dist", "jaccard", "pseudo_labels", "cwd", "heatmap", "localization")
    change = {"teacher": CACHED, "distillation": [{"name": name} for name in names]}
    assert load_recipe(written(tmp_path, {**MINIMAL, **change})).recalls_teacher
    del change["distillation"]
    assert not load_recipe(written(tmp_path, {**MINIMAL, **change})).recalls_teacher


def test_missing_and_malformed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot read recipe"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(TrainingError, match="is not YAML"):
        load_recipe(tmp_path / "bad.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: Straße".encode("latin-1"))
    with pytest.raises(TrainingError, match=r"latin\.yaml is not UTF-8 text"):
        load_recipe(tmp_path / "latin.yaml")
