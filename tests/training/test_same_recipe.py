"""A run folder is gone on with by its own recipe only."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tiny_training import tiny_recipe
from training.ablation import Ablation, ablate
from training.errors import TrainingError
from training.recipe import Recipe
from training.run_folder import STAGED_RECIPE, start_run, write_result
from training.same_recipe import refuse_other_recipe
from training.train import train


def finished(folder: Path, recipe: Recipe) -> Path:
    start_run(folder, recipe)
    write_result(folder, recipe.optimizer.epochs, 0.1, {"miou/blocks": 0.5})
    return folder


def changed(recipe: Recipe, **sections: dict[str, Any]) -> Recipe:
    values = recipe.model_dump(mode="json")
    for section, keys in sections.items():
        values[section] = values[section] | keys
    return Recipe.model_validate(values)


def test_a_finished_run_is_not_the_result_of_a_recipe_that_was_edited_since(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path)
    run = finished(tmp_path / "run", recipe)
    assert train(recipe, run, resume=True) == {"miou/blocks": 0.5}
    other = changed(recipe, loss={"lovasz": 1.0}, optimizer={"lr": 0.1})
    with pytest.raises(TrainingError, match=r"differs in loss\.lovasz, optimizer\.lr: choose another --out"):
        train(other, run, resume=True)


def test_a_run_goes_on_with_another_precision_as_on_another_processor(tmp_path: Path) -> None:
    recipe = changed(tiny_recipe(tmp_path, tmp_path), optimizer={"precision": "bf16"})
    run = finished(tmp_path / "run", recipe)
    assert train(changed(recipe, optimizer={"precision": "auto"}), run, resume=True) == {"miou/blocks": 0.5}


def test_an_unfinished_run_keeps_its_recipe_when_another_one_asks_to_go_on(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path)
    start_run(tmp_path / "run", recipe)
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    before = (tmp_path / "run" / "recipe.yaml").read_text()
    with pytest.raises(TrainingError, match=r"differs in optimizer\.lr"):
        train(changed(recipe, optimizer={"lr": 0.1}), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "recipe.yaml").read_text() == before


def test_an_arm_that_was_edited_keeps_no_old_numbers(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path, teacher={"run": "r"}).model_dump(mode="json")
    arms = ({"kl": [{"name": "kl", "weight": weight}]} for weight in (1.0, 2.0))
    first, edited = (Ablation.model_validate({"recipe": recipe, "arms": arm, "seeds": [1]}) for arm in arms)
    for run in first.recipes():
        finished(tmp_path / run.name, run)
    ablate(first, tmp_path, print)
    with pytest.raises(TrainingError, match=r"kl_s1 holds .* differs in distillation\.0\.weight"):
        ablate(edited, tmp_path, print)


def test_more_epochs_and_other_ways_to_read_frames_are_the_same_run(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path, epochs=2)
    run = finished(tmp_path / "run", recipe)
    refuse_other_recipe(run, changed(recipe, optimizer={"epochs": 3}))
    refuse_other_recipe(run, changed(recipe, data={"workers": 4, "cache": {"memory_mb": 0}}))
    with pytest.raises(TrainingError, match=r"differs in optimizer\.epochs"):
        refuse_other_recipe(run, changed(recipe, optimizer={"epochs": 1}))


def test_keys_that_came_later_have_their_defaults_in_an_earlier_run(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path)
    run = finished(tmp_path / "run", recipe)
    values = yaml.safe_load((run / "recipe.yaml").read_text())
    del values["optimizer"]["accumulate"], values["model"]["keep_zeros"], values["data"]["augment"]["hue"]
    (run / "recipe.yaml").write_text(yaml.safe_dump(values))
    refuse_other_recipe(run, recipe)


def test_a_path_may_be_written_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = finished(tmp_path / "run", tiny_recipe(Path("t"), Path("v")))
    refuse_other_recipe(run, tiny_recipe(tmp_path / "t", tmp_path / "v"))
    with pytest.raises(TrainingError, match=r"differs in data\.train\.0\.path"):
        refuse_other_recipe(run, tiny_recipe(tmp_path / "other", tmp_path / "v"))


def test_a_run_that_never_trained_may_begin_with_another_recipe(tmp_path: Path) -> None:
    start_run(tmp_path / "run", tiny_recipe(tmp_path, tmp_path))
    refuse_other_recipe(tmp_path / "run", tiny_recipe(tmp_path, tmp_path, epochs=1))


def test_a_staged_run_is_compared_as_it_was_given(tmp_path: Path) -> None:
    one, other = (
        tiny_recipe(tmp_path, tmp_path, stages=[{"name": "a", "epochs": 1}, {"name": "b", "epochs": epochs}])
        for epochs in (1, 2)
    )
    run = finished(tmp_path / "run", one.plain_stages(tmp_path / "run")[-1][1])
    (run / STAGED_RECIPE).write_text(yaml.safe_dump(one.model_dump(mode="json")))
    refuse_other_recipe(run, one)
    with pytest.raises(TrainingError, match=r"differs in stages\.1\.epochs"):
        refuse_other_recipe(run, other)


def test_a_run_that_goes_on_is_unfinished_until_it_ends(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, tmp_path)
    run = finished(tmp_path / "run", recipe)
    assert json.loads((run / "result.json").read_text())["epochs"] == 2
    start_run(run, recipe)
    assert not (run / "result.json").exists()
