"""Training on from a pruned run."""

from pathlib import Path

import pytest
import torch

from tests.support.tiny_nets import BOTH, SIZE, tiny_net
from tests.support.tiny_training import tiny_recipe, untrained_run, write_color_blocks
from training.compression.pruning.channels import prune_channels
from training.compression.pruning.importance import IMPORTANCE
from training.compression.pruning.masks import zero_share
from training.compression.pruning.run import sparsify_run
from training.compression.spec import SparsityStep
from training.errors import TrainingError
from training.models.shapes import shapes_of
from training.models.spec import FpnSpec, ModelSpec
from training.recipe import Recipe
from training.run_folder import load_model, read_json, write_untrained
from training.train import train

HIDDEN = "encoder._blocks.4._depthwise_conv"
SPEC = ModelSpec(pretrained=False, tasks=BOTH, width_multiplier=0.25, decoder=FpnSpec(width=16))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    root = tmp_path_factory.mktemp("blocks")
    folders = write_color_blocks(root / "t", 4, 1, True), write_color_blocks(root / "v", 2, 2, True)
    return tiny_recipe(*folders, epochs=1, model=SPEC)


@pytest.fixture(scope="module")
def pruned(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "pruned"
    model = tiny_net()
    prune_channels(model, {HIDDEN: 8}, IMPORTANCE["magnitude"](), SIZE)
    write_untrained(folder, recipe, model, shapes_of(model))
    return folder


def start_from(recipe: Recipe, run: Path, **changes: object) -> Recipe:
    return recipe.model_copy(update={"model": SPEC.model_copy(update={"init": run, **changes})})


def test_a_sparse_and_narrow_run_is_trained_on_as_it_is(recipe: Recipe, pruned: Path, tmp_path: Path) -> None:
    sparsify_run(pruned, SparsityStep(do="sparsify", pattern="layer", share=0.5), recipe, tmp_path / "sparse")
    train(start_from(recipe, tmp_path / "sparse", keep_zeros=True), tmp_path / "tuned")
    (_, before), (_, after) = load_model(tmp_path / "sparse"), load_model(tmp_path / "tuned")
    assert shapes_of(after) == shapes_of(load_model(pruned)[1])
    assert zero_share(after) == zero_share(before) == pytest.approx(0.5, abs=0.02)
    weights = before.encoder._conv_stem.weight, after.encoder._conv_stem.weight
    assert torch.equal(weights[0] == 0, weights[1] == 0)
    assert not torch.equal(*weights)


def test_cost_of_a_pruned_run_is_that_of_the_smaller_network(
    recipe: Recipe, pruned: Path, tmp_path: Path
) -> None:
    train(start_from(recipe, pruned), tmp_path / "tuned")
    smaller = sum(p.numel() for p in load_model(pruned)[1].parameters())
    assert read_json(tmp_path / "tuned", "model.json")["parameters"] == smaller
    assert smaller < sum(p.numel() for p in tiny_net().parameters())


def test_qat_starts_from_a_float_run_and_is_read_back_with_its_ranges(
    recipe: Recipe, pruned: Path, tmp_path: Path
) -> None:
    train(start_from(recipe, pruned, qat="asymmetric"), tmp_path / "qat")
    ranges = load_model(tmp_path / "qat")[1].encoder._blocks[1]._expand_conv.input_range
    assert ranges[0] <= 0 < ranges[1]


def test_recipe_of_another_network_does_not_fit(recipe: Recipe, pruned: Path, tmp_path: Path) -> None:
    other = start_from(recipe, pruned, decoder=FpnSpec(width=24))
    with pytest.raises(TrainingError, match=r"is pruned, so decoder must be"):
        train(other, tmp_path / "other")


def test_weights_of_a_network_with_simulated_int8_are_set_to_zero_without_it(
    recipe: Recipe, tmp_path: Path
) -> None:
    run = untrained_run(tmp_path, qat="asymmetric")
    sparsify_run(run, SparsityStep(do="sparsify", pattern="global", share=0.5), recipe, tmp_path / "sparse")
    _, model = load_model(tmp_path / "sparse")
    assert zero_share(model) == pytest.approx(0.5, abs=0.01)
    assert not any("input_range" in name for name in model.state_dict())
