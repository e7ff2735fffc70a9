"""Two processes train what one does with the same global batch.

Without dropout, which each process draws for itself, and batch norm's statistics, which on CPU each takes for
itself.
"""

from pathlib import Path

import pytest
import torch
import yaml

from tests.support.refusal import refusal
from tests.training.schedules.runs import assert_same_run, kill_after, run, save, small
from training.ablation import Ablation, ablate
from training.recipe import Recipe
from training.train import train

pytestmark = pytest.mark.slow

TASKS = {"pretrained": False, "decoder": {"name": "fpn", "width": 16}, "tasks": ["segmentation", "detection"]}


@pytest.fixture(scope="module")
def trained(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A teacher, and what the student starts from; with statistics in their batch norms."""
    root = tmp_path_factory.mktemp("trained")
    for seed in (1, 2):
        train(small(folders, 2, seed=seed, model=TASKS), root / str(seed))
    return root / "1", root / "2"


def distilled(folders: tuple[Path, Path], trained: tuple[Path, Path]) -> Recipe:
    """Means over pixels, class weights and objects: each has its own share in each process."""
    teacher, start = trained
    return small(
        folders,
        epochs=2,
        model={**TASKS, "init": start, "dropout": 0, "freeze_norm": True},
        teacher={"run": teacher},
        loss={"class_balance": 1.1},
        distillation=[
            {"name": "kl", "temperature": {"start": 4, "end": 1}},
            {"name": "kl", "confidence": True, "balance": 0.5},
            {"name": "pseudo_labels", "threshold": 0.2},
            {"name": "heatmap"},
            {"name": "localization", "threshold": 0},
            {"name": "hint", "weight": 0.1, "student": "decoder", "teacher": "model.decoder"},
        ],
    )


@pytest.fixture(scope="module")
def one_process(
    folders: tuple[Path, Path], trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    train(distilled(folders, trained), folder)
    return folder


@pytest.mark.parametrize(
    ("strategy", "killed"), [("fsdp", False), ("ddp", True)], ids=["fsdp", "ddp, killed and resumed"]
)
def test_two_processes_compute_what_one_does(
    folders: tuple[Path, Path],
    trained: tuple[Path, Path],
    one_process: Path,
    tmp_path: Path,
    strategy: str,
    killed: bool,
) -> None:
    recipe = distilled(folders, trained)
    options = ("--devices", 2, "--strategy", strategy, "--accelerator", "cpu", "--threads", 1)
    file = save(recipe, tmp_path / "r.yaml")
    if killed:
        kill_after(file, tmp_path / "two", tmp_path / "two" / "checkpoints" / "last.ckpt", *options)
        assert not (tmp_path / "two" / "result.json").exists()
        options += ("--resume",)
    done = run("train", file, "--out", tmp_path / "two", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("run folder:") == 1  # one process speaks
    assert_same_run(one_process, tmp_path / "two", atol=1e-4)


def test_two_processes_train_an_ablation_and_fill_its_teachers_cache_as_one_does(
    folders: tuple[Path, Path], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    values = distilled(folders, trained).model_dump(mode="json") | {"distillation": []}
    values["optimizer"]["epochs"] = 1
    arms = {"kl": [{"name": "kl", "temperature": 2.0}]}
    ablations = []
    for name in ("one", "two"):
        recipe = {**values, "teacher": {"run": trained[0], "cache": tmp_path / name / "cache"}}
        ablations.append(Ablation.model_validate({"recipe": recipe, "arms": arms, "seeds": [1]}))
    one, two = ablations
    ablate(one, tmp_path / "one", print)
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(two.model_dump(mode="json")))
    options = ("--devices", 2, "--accelerator", "cpu", "--threads", 1)
    done = run("ablate", file, "--out", tmp_path / "two", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.parent.name for path in (tmp_path / "two").glob("*/result.json")} == {"labels_s1", "kl_s1"}
    assert (done.stderr.count("2/2: kl_s1"), done.stdout.count("compare them")) == (1, 1)
    assert done.stderr.count("Asking the teacher") == 1
    entries = [
        sorted(path.name for path in (tmp_path / name / "cache").rglob("*.npz")) for name in ("one", "two")
    ]
    assert entries[0] == entries[1]
    assert len(entries[0]) == 8
    for name in ("labels_s1", "kl_s1"):
        assert_same_run(tmp_path / "one" / name, tmp_path / "two" / name, atol=1e-4)


def test_a_batch_that_cannot_be_shared_out_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    recipe = save(small(folders, 1), tmp_path / "r.yaml")
    said = refusal("train", recipe, "--out", tmp_path / "out", "--devices", 3, "--accelerator", "cpu")
    assert "optimizer.batch: 4 frames cannot be shared out to 3 processes" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(folders: tuple[Path, Path], tmp_path: Path) -> None:
    recipe = save(small(folders, 1), tmp_path / "r.yaml")
    said = refusal("train", recipe, "--out", tmp_path / "out", "--accelerator", "gpu")
    assert "torch sees no GPU here" in said
