"""Which loss decides what the encoder learns."""

from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from tests.support.refusal import refusal
from tests.support.tiny_nets import BOTH
from tests.support.tiny_training import tiny_recipe, untrained_run, write_color_blocks
from training.cli import app
from training.errors import TrainingError
from training.loss_shares import LossShare, loss_shares, stage_of
from training.models.spec import FpnSpec, ModelSpec
from training.recipe import LossSpec, Recipe
from training.setting import open_setting


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("data")
    return write_color_blocks(root / "t", 8, 1, True), write_color_blocks(root / "v", 4, 2, True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("teacher") / "run")


def found(recipe: Recipe, frames: int = 4) -> dict[str, LossShare]:
    return {item.name: item for item in loss_shares(recipe, frames=frames)}


def with_tasks(folders: tuple[Path, Path], teacher: Path, detection: float, kl: object) -> Recipe:
    """The network of `teacher`, both tasks."""
    return tiny_recipe(
        *folders,
        model=ModelSpec(
            pretrained=False,
            tasks=BOTH,
            width_multiplier=0.25,
            decoder=FpnSpec(width=16),
            dropout=0,
            freeze_norm=True,
        ),
        teacher={"run": teacher},
        distillation=[{"name": "kl", "weight": kl}],
        loss={"detection": detection},
    )


def test_a_loss_alone_has_the_gradient_that_training_would_follow(folders: tuple[Path, Path]) -> None:
    recipe = tiny_recipe(*folders, loss=LossSpec(cross_entropy=0.5))
    only = found(recipe)["cross_entropy"]
    torch.manual_seed(recipe.seed)
    setting = open_setting(recipe)
    module = setting.module(1)
    module.model.train()
    module.losses(next(iter(setting.data.train_dataloader())))[0].backward()
    norms = [p.grad.norm() for p in module.model.encoder.parameters() if p.grad is not None]
    assert only.gradient == pytest.approx(float(torch.stack(norms).norm()), rel=1e-4)
    assert (only.weight, only.share) == (0.5, 1.0)


def test_twice_the_weight_is_twice_the_gradient_of_its_losses_alone(
    folders: tuple[Path, Path], teacher: Path
) -> None:
    once = found(with_tasks(folders, teacher, 0.5, 1.0))
    twice = found(with_tasks(folders, teacher, 1.0, {"start": 4.0, "end": 0.0}))
    assert once.keys() == {"cross_entropy", "heatmap", "box", "distill_kl"}
    for name, factor in {"cross_entropy": 1, "heatmap": 2, "box": 2, "distill_kl": 4}.items():
        assert twice[name].gradient == pytest.approx(factor * once[name].gradient, rel=1e-4)
        assert twice[name].value == pytest.approx(once[name].value)
    assert sum(item.share for item in twice.values()) == pytest.approx(1)


def test_the_command_shows_the_losses_at_a_runs_weights(
    folders: tuple[Path, Path], teacher: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(with_tasks(folders, teacher, 1.0, 1.0).model_dump(mode="json")))
    result = CliRunner().invoke(app, ["losses", str(recipe), "--run", str(teacher), "--frames", "4"])
    assert result.exit_code == 0, result.output
    rows = {
        cells[1].strip(): cells for line in result.output.splitlines() if len(cells := line.split("│")) > 5
    }
    assert rows.keys() == {"cross_entropy", "heatmap", "box", "distill_kl"}
    assert float(rows["distill_kl"][3]) < 1e-3  # the student is its teacher
    assert float(rows["cross_entropy"][3]) > 0.1


def test_weights_that_are_not_there_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nowhere"):
        loss_shares(tiny_recipe(*folders), run=tmp_path / "nowhere")


def test_where_the_stages_before_are_looked_for_is_said(folders: tuple[Path, Path], tmp_path: Path) -> None:
    recipe = tiny_recipe(*folders, stages=[{"name": "a", "epochs": 1}, {"name": "b", "epochs": 1}])
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    said = refusal("losses", file, "--stage", "b")
    assert (
        "stages before 'b' are looked for in runs/tiny; where they lie elsewhere, give the run folder" in said
    )
    assert f"are looked for in {tmp_path};" in refusal("losses", tmp_path, "--stage", "b")
    assert "are looked for" not in refusal("losses", file, "--stage", "c")


def test_a_stage_is_chosen_by_name_and_the_first_otherwise(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    stages = [
        {"name": "coarse", "epochs": 1},
        {"name": "fine", "epochs": 1, "loss": {"cross_entropy": 0.25}},
    ]
    recipe = tiny_recipe(*folders, stages=stages)
    assert found(stage_of(recipe, None, tmp_path))["cross_entropy"].weight == 1.0
    fine = stage_of(recipe, "fine", tmp_path)
    assert fine.loss.cross_entropy == 0.25
    assert str(fine.model.init) == str(tmp_path / "stages" / "coarse")
    with pytest.raises(TrainingError, match="no stage 'fein'; it has: coarse, fine"):
        stage_of(recipe, "fein", tmp_path)
    with pytest.raises(TrainingError, match="it has no stages"):
        stage_of(tiny_recipe(*folders), "fine", tmp_path)
