"""A run that is killed and resumed is the run that was never stopped."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.schedules.runs import assert_same_run, curve, kill_after, save, small, weights
from training.recipe import Recipe
from training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def teacher(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(small(folders, 1), out)
    return out


def distilled(folders: tuple[Path, Path], teacher: Path, epochs: int) -> Recipe:
    """Adapters, a memory of features and annealing on top of what any run has to keep."""
    losses = [
        {"name": "kl", "temperature": {"start": 4, "end": 1}},
        {"name": "cirkd_memory", "weight": 0.1, "student": "decoder", "teacher": "model.decoder"},
    ]
    return small(
        folders,
        epochs,
        workers=1,
        teacher={"run": teacher},
        distillation=losses,
        model={"pretrained": False, "decoder": {"name": "fpn", "width": 24}},
        optimizer={"accumulate": 2, "schedule": "cosine"},
    )


def test_a_killed_run_resumes_to_the_same_weights_and_curve(
    folders: tuple[Path, Path], teacher: Path, tmp_path: Path
) -> None:
    recipe = distilled(folders, teacher, epochs=5)
    kill_after(
        save(recipe, tmp_path / "r.yaml"), tmp_path / "killed", tmp_path / "killed/checkpoints/last.ckpt"
    )
    assert not (tmp_path / "killed" / "result.json").exists()
    train(recipe, tmp_path / "killed", resume=True)
    train(recipe, tmp_path / "whole")
    assert curve(tmp_path / "whole")[-1]["step"] == 4  # 2 batches an epoch, accumulated: one step each
    assert_same_run(tmp_path / "killed", tmp_path / "whole", atol=1e-5)


def test_stages_go_on_where_a_kill_stopped_them(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """An assistant, then its student, coarse and fine; killed in the second of the three."""
    taught = {"teacher": "assistant"}
    recipe = small(
        folders,
        epochs=1,
        distillation=[{"name": "kl"}],
        stages=[
            {
                "name": "assistant",
                "epochs": 1,
                "model": {"decoder": {"name": "fpn", "width": 24}},
                "teacher": "none",
            },
            {"name": "coarse", "epochs": 6, "model": {}, **taught, "augment": {"crop": [32, 32]}},
            {"name": "fine", "epochs": 1, **taught, "distillation": [{"name": "mse"}]},
        ],
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_after(save(recipe, tmp_path / "r.yaml"), killed, killed / "stages/coarse/checkpoints/last.ckpt")
    assert not (killed / "stages" / "fine").exists()
    assistant = weights(killed / "stages" / "assistant")
    train(recipe, killed, resume=True)
    train(recipe, whole)
    for name in ("assistant", "coarse", "fine"):
        assert_same_run(killed / "stages" / name, whole / "stages" / name, atol=1e-5)
    assert_same_run(killed, whole, atol=1e-5)
    torch.testing.assert_close(weights(killed / "stages" / "assistant"), assistant, atol=0, rtol=0)
    rows = [{key for key in row if key.startswith("loss/distill")} for row in curve(killed)]
    seen = [next(iter(keys)) for keys in rows if keys]
    assert (seen[0], seen[-1]) == ("loss/distill_kl", "loss/distill_mse")
    result = json.loads((killed / "result.json").read_text())
    assert (result["epochs"], [stage["epochs"] for stage in result["stages"]]) == (8, [1, 6, 1])
    assert weights(killed).keys() == weights(whole / "stages" / "fine").keys()


def test_a_run_killed_before_its_result_was_written_is_scored_on_resume(
    teacher: Path, tmp_path: Path
) -> None:
    result = teacher / "result.json"
    before = json.loads(result.read_text())
    result.unlink()
    from training.recipe import load_recipe

    train(load_recipe(teacher / "recipe.yaml"), teacher, resume=True)
    after = json.loads(result.read_text())
    assert after["metrics"] == pytest.approx(before["metrics"], nan_ok=True)


def test_resuming_a_finished_run_leaves_it_as_it_is(teacher: Path) -> None:
    from training.recipe import load_recipe

    before = {path: path.stat().st_mtime_ns for path in teacher.rglob("*") if path.is_file()}
    metrics = train(load_recipe(teacher / "recipe.yaml"), teacher, resume=True)
    assert (
        metrics["miou/blocks"] == json.loads((teacher / "result.json").read_text())["metrics"]["miou/blocks"]
    )
    assert {path: path.stat().st_mtime_ns for path in teacher.rglob("*") if path.is_file()} == before
