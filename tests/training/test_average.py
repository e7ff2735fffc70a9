"""The average of runs that went on from one start."""

import json
from pathlib import Path

import pytest
import torch

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.average import average_runs
from training.errors import TrainingError
from training.recipe import Recipe
from training.run_folder import RESULT, load_model
from training.train import train


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("average")


@pytest.fixture(scope="module")
def start(root: Path) -> Recipe:
    recipe = tiny_recipe(write_color_blocks(root / "t", 4, 1), write_color_blocks(root / "v", 2, 2), epochs=1)
    train(recipe, root / "start")
    return recipe


@pytest.fixture(scope="module")
def pair(root: Path, start: Recipe) -> list[Path]:
    model = start.model.model_copy(update={"init": root / "start"})
    folders = [root / "s1", root / "s2"]
    for seed, folder in enumerate(folders, 1):
        train(start.model_copy(update={"model": model, "seed": seed}), folder)
    return folders


def scores_of(run: Path) -> dict[str, float]:
    scores: dict[str, float] = json.loads((run / RESULT).read_text())["metrics"]
    return scores


def test_every_weight_is_the_mean_and_the_scores_are_those_of_the_mean(pair: list[Path], root: Path) -> None:
    scores = average_runs(pair, root / "mean")
    first, second, mean = (load_model(run)[1].state_dict() for run in (*pair, root / "mean"))
    changed = 0
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[name].double() + second[name].double()).div(2).float())
            changed += not torch.equal(first[name], second[name])
    assert changed > 10
    assert scores_of(root / "mean")["miou/blocks"] == round(scores["miou/blocks"], 5)


def test_the_scores_are_those_that_training_gives_the_same_network(pair: list[Path], root: Path) -> None:
    average_runs([pair[0], pair[0]], root / "same")
    assert scores_of(root / "same") == scores_of(pair[0])


def test_runs_without_a_common_start_are_refused(pair: list[Path], root: Path, start: Recipe) -> None:
    with pytest.raises(TrainingError, match=r"start has another network, start or class set than .*s1"):
        average_runs([pair[0], root / "start"], root / "no")
    with pytest.raises(TrainingError, match="heads began at random"):
        average_runs([root / "start", root / "start"], root / "no")
    with pytest.raises(TrainingError, match="two runs or more"):
        average_runs(pair[:1], root / "no")
    assert not (root / "no").exists()


def test_a_share_of_the_way_from_the_start_to_the_mean(pair: list[Path], root: Path) -> None:
    average_runs(pair, root / "part", share=0.6)
    first, second, start, part = (
        load_model(run)[1].state_dict() for run in (*pair, root / "start", root / "part")
    )
    for name, value in part.items():
        if value.is_floating_point():
            wanted = 0.3 * first[name].double() + 0.3 * second[name].double() + 0.4 * start[name].double()
            torch.testing.assert_close(value, wanted.float())


def test_a_share_of_the_way_needs_a_start(root: Path, pair: list[Path]) -> None:
    with pytest.raises(TrainingError, match="start did not go on from another run"):
        average_runs([root / "start"], root / "no", 0.5)
    assert not (root / "no").exists()


def test_a_run_is_never_overwritten(pair: list[Path]) -> None:
    with pytest.raises(TrainingError, match="already holds a run"):
        average_runs(pair, pair[0])
