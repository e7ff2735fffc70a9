"""A bundle becomes a run again that sees what the bundle sees, and can be trained on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from distill_perception.bundle import Bundle, load_bundle
from tests.support.tiny_nets import CLASSES, SIZE, answers, tiny_net
from tests.support.tiny_training import own_classes, untrained_run
from training.cli import app
from training.compression.pruning.channels import prune_channels
from training.compression.pruning.importance import IMPORTANCE
from training.data.class_sets import class_set
from training.errors import TrainingError
from training.export.draft import frames_of
from training.export.graph import DeployedNet, write_onnx
from training.export.restore import FRAMES, fill, read_constants, restore_run
from training.export.write_bundle import ExportRequest, compared_scores, write_bundle
from training.models.multi_task import MultiTaskNet
from training.models.shapes import shapes_of
from training.recipe import Recipe, load_recipe
from training.run_folder import PROVENANCE, RECIPE, RESULT, load_model, write_untrained
from training.train import train


def lively_net() -> MultiTaskNet:
    """Batch norms with values of their own, as training leaves them; one channel is dead."""
    net = tiny_net()
    generator = torch.Generator().manual_seed(5)
    for norm in (layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)):
        count = norm.num_features
        norm.running_mean = torch.randn(count, generator=generator) * 0.1
        norm.running_var = torch.rand(count, generator=generator) + 0.5
        norm.weight.data = torch.rand(count, generator=generator) + 0.5
        norm.bias.data = torch.randn(count, generator=generator) * 0.1
    net.decoder.smooth[0][0][1].weight.data[0] = 0
    return net


def export(run: Path, out: Path) -> Bundle:
    return write_bundle(ExportRequest(run, out, "1.0.0", "MIT", (), "a test"))[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("restore"), lively_net())


@pytest.fixture(scope="module")
def bundle(run: Path) -> Bundle:
    return export(run, run.parent / "bundle")


@pytest.fixture(scope="module")
def restored(bundle: Bundle) -> Path:
    out = bundle.path.parent / "restored"
    restore_run(bundle, out)
    return out


def test_the_restored_network_gives_what_the_exported_one_gave(run: Path, restored: Path) -> None:
    for found, expected in zip(answers(load_model(restored)[1]), answers(load_model(run)[1]), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_it_scores_as_the_run_does(run: Path, restored: Path) -> None:
    restored_scores = json.loads((restored / RESULT).read_text())["metrics"]
    exported = {item.name: item.value for item in load_bundle(run.parent / "bundle").manifest.metrics}
    assert restored_scores["miou/blocks"] == pytest.approx(exported["miou"], abs=1e-3)


def test_batch_norms_know_the_frames_and_channels_are_of_unit_variance(restored: Path) -> None:
    """So that training begins where the network stood: with a batch's statistics it gives much the same."""
    recipe, net = load_model(restored)
    frames = torch.from_numpy(np.stack(list(frames_of(recipe, recipe.data.train, FRAMES))))
    norms = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    seen: dict[str, torch.Tensor] = {}
    for name, norm in norms.items():
        norm.register_forward_pre_hook(lambda _, inputs, n=name: seen.__setitem__(n, inputs[0]))
    with torch.inference_mode():
        net(frames.permute(0, 3, 1, 2).float())
    for name, norm in norms.items():
        x = seen[name].transpose(0, 1).flatten(1)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        torch.testing.assert_close(norm.running_mean, x.mean(1), atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(norm.running_var, x.var(1, unbiased=False), atol=2e-3, rtol=2e-3)
    first = norms["encoder._bn0"].running_var
    torch.testing.assert_close(first, torch.ones_like(first), atol=1e-3, rtol=1e-3)


def test_a_pruned_network_keeps_its_shapes(run: Path, tmp_path: Path) -> None:
    net = lively_net()
    prune_channels(net, {"head.0.1.0": 8}, IMPORTANCE["magnitude"](), (64, 96))
    assert shapes_of(net) != shapes_of(lively_net())
    write_untrained(tmp_path / "pruned", load_recipe(run / RECIPE), net, shapes_of(net))
    restore_run(export(tmp_path / "pruned", tmp_path / "bundle"), tmp_path / "again")
    found = load_model(tmp_path / "again")[1]
    assert shapes_of(found) == shapes_of(net)
    for one, other in zip(answers(found), answers(net), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_classes_of_ones_own_are_the_manifests_where_their_file_is_gone(run: Path, tmp_path: Path) -> None:
    recipe, model = load_model(run)
    file = own_classes(tmp_path / "mine.yaml")
    data = recipe.data.model_copy(update={"class_set": str(file)})
    write_untrained(tmp_path / "run", recipe.model_copy(update={"data": data}), model, None)
    bundle = export(tmp_path / "run", tmp_path / "bundle")
    file.unlink()
    with pytest.raises(TrainingError, match=r"cannot read a class set from .*mine\.yaml"):
        restore_run(bundle, tmp_path / "restored", data)  # of a recipe of one's own, where it is a mistake
    restore_run(bundle, tmp_path / "restored")
    recipe, _ = load_model(tmp_path / "restored")
    assert class_set(recipe.data.class_set).names == bundle.manifest.class_names
    assert bundle.manifest.class_names[0] == "heaven"


def test_training_goes_on_from_it_and_a_student_learns_from_it(restored: Path, tmp_path: Path) -> None:
    recipe = load_recipe(restored / RECIPE)
    changes = {
        "model": {**recipe.model.model_dump(mode="json"), "init": str(restored)},
        "teacher": {"run": str(restored)},
        "distillation": [{"name": "kl"}],
        "optimizer": {"epochs": 1, "batch": 2},
    }
    onward = Recipe.model_validate({**recipe.model_dump(mode="json"), **changes})
    scores = train(onward, tmp_path / "onward")
    assert 0 <= scores["miou/blocks"] <= 1


def test_the_command_makes_a_finished_run_and_shows_its_scores(bundle: Bundle, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["restore", str(bundle.path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "miou/blocks" in result.output
    assert load_model(tmp_path / "run")[0].name == "tiny"


def test_the_weights_keep_their_origin(bundle: Bundle, restored: Path) -> None:
    provenance = json.loads((restored / PROVENANCE).read_text())
    origin = bundle.manifest.provenance
    assert (provenance["command"], provenance["git_hash"]) == (origin.command, origin.git_hash)
    assert provenance["seed"] == origin.seed
    assert "restored" in provenance


def test_scores_of_a_restored_run_are_not_told_as_a_trainings(run: Path, restored: Path) -> None:
    both = ExportRequest(restored, restored.parent / "b", "1.0.0", "MIT", (run,), "a test")
    assert compared_scores(both) == compared_scores(replace(both, run=run, compare=()))


def test_a_bundle_without_its_recipe_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "b")
    (tmp_path / "b" / RECIPE).unlink()
    with pytest.raises(TrainingError, match=r"b/recipe.yaml is missing.*restore the one"):
        restore_run(load_bundle(tmp_path / "b"), tmp_path / "out")


def test_a_recipe_of_another_network_is_refused_by_the_layer(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "b")
    path = tmp_path / "b" / RECIPE
    path.write_text(path.read_text().replace("width: 16", "width: 24"))
    with pytest.raises(TrainingError, match=r"'model.decoder.*' is \[16, .*\], not \[24, "):
        restore_run(load_bundle(tmp_path / "b"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_is_never_overwritten(bundle: Bundle, restored: Path, tmp_path: Path) -> None:
    interrupted = tmp_path / "interrupted"
    (interrupted / "checkpoints").mkdir(parents=True)
    (interrupted / "checkpoints" / "last.ckpt").touch()
    for taken in (restored, interrupted):
        with pytest.raises(TrainingError, match="already holds a run"):
            restore_run(bundle, taken)


def test_the_frames_are_shown_as_the_vehicle_shows_them(bundle: Bundle, tmp_path: Path) -> None:
    """Whatever the recipe says: older exports always letterboxed."""
    shutil.copytree(bundle.path, tmp_path / "b")
    path = tmp_path / "b" / RECIPE
    path.write_text(path.read_text().replace("resize: letterbox", "resize: stretch"))
    restore_run(load_bundle(tmp_path / "b"), tmp_path / "out")
    assert load_recipe(tmp_path / "out" / RECIPE).data.resize == "letterbox"


def test_learned_upsampling_comes_back_too(tmp_path: Path) -> None:
    """FCN-8s's transposed convolutions begin as bilinear ones."""
    shape = {"decoder": {"name": "fcn8s", "width": 8, "hidden": 8}}
    net, again = tiny_net(**shape), tiny_net(seed=1, **shape)
    generator = torch.Generator().manual_seed(1)
    for parameter in net.decoder.up.parameters():
        parameter.data += torch.rand(parameter.shape, generator=generator)
    write_onnx(DeployedNet(net), [str(index) for index in range(CLASSES)], SIZE, tmp_path / "net.onnx")
    frames = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    fill(again, read_constants(tmp_path / "net.onnx"), frames, "net.onnx")
    for found, expected in zip(answers(again), answers(net), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_shipped_bundle_says_how_it_was_trained() -> None:
    bundle = load_bundle("camvid_lite0")
    recipe = load_recipe(bundle.path / RECIPE)
    assert recipe.name == bundle.manifest.provenance.recipe
    assert recipe.seed == bundle.manifest.provenance.seed
