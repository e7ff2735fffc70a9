"""What can be read back from a run folder, and what is refused."""

import json
import math
import shlex
from pathlib import Path

import pytest
import torch

from distill_perception.whole_file import write_whole
from tests.support.refusal import refusal
from tests.support.tiny_training import tiny_recipe, untrained_run, write_color_blocks
from training.average import average_runs
from training.compression.archive.run import pack
from training.data.class_sets import CLASS_SETS
from training.distillation.module import start_model
from training.errors import TrainingError
from training.recipe import Recipe, load_recipe
from training.run_folder import (
    build_model,
    load_model,
    refuse_taken,
    start_run,
    write_result,
    write_untrained,
)
from training.teachers.open import open_teacher
from training.teachers.spec import TeacherSpec
from training.train import train

CAMVID = CLASS_SETS["camvid"]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    frames = write_color_blocks(tmp_path / "blocks", 4)
    return tiny_recipe(frames, frames)


@pytest.fixture
def unfinished(tmp_path: Path, recipe: Recipe) -> Path:
    """A run that was killed after an epoch: it has a checkpoint, but no result."""
    folder = tmp_path / "run"
    start_run(folder, recipe)
    (folder / "checkpoints").mkdir()
    state = build_model(recipe.model, CAMVID).state_dict()
    saved = {"epoch": 0, "state_dict": {f"model.{name}": value for name, value in state.items()}}
    torch.save(saved, folder / "checkpoints" / "last.ckpt")
    return folder


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_went_astray_is_refused_by_whatever_builds_on_it(
    recipe: Recipe, tmp_path: Path, value: float
) -> None:
    """Quantized or packed, its weights would look sound."""
    model = build_model(recipe.model, CAMVID)
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] = value
    write_untrained(tmp_path / "astray", recipe, model, None)
    with pytest.raises(TrainingError, match=r"weights\.safetensors: '.*' .*not finite.*lower learning rate"):
        pack(tmp_path / "astray", tmp_path / "astray.dpa", 4)


def test_whatever_builds_on_a_run_refuses_an_unfinished_one(unfinished: Path, recipe: Recipe) -> None:
    message = r"run is not the folder of a finished run .* --resume"
    with pytest.raises(TrainingError, match=message):
        open_teacher(TeacherSpec(run=unfinished), CAMVID)
    model = recipe.model.model_copy(update={"init": unfinished})
    goes_on = recipe.model_copy(update={"model": model})
    with pytest.raises(TrainingError, match=message):
        start_model(goes_on, CAMVID)
    with pytest.raises(TrainingError, match=message):
        average_runs([unfinished, unfinished], unfinished.parent / "mean")
    write_result(unfinished, 2, 0.1, {})
    open_teacher(TeacherSpec(run=unfinished), CAMVID)


def test_a_damaged_checkpoint_is_named_with_the_remedy(unfinished: Path, recipe: Recipe) -> None:
    checkpoint = unfinished / "checkpoints" / "last.ckpt"
    whole = checkpoint.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no checkpoint"):
        checkpoint.write_bytes(content)
        with pytest.raises(TrainingError, match=r"last\.ckpt is damaged .* delete .*run to train anew"):
            load_model(unfinished)
        with pytest.raises(TrainingError, match=r"last\.ckpt is damaged"):
            train(recipe, unfinished, resume=True)


def test_a_damaged_result_is_named_with_the_remedy(unfinished: Path, recipe: Recipe) -> None:
    (unfinished / "result.json").write_text('{"epochs": 2, "metr')
    with pytest.raises(TrainingError, match=r"result\.json is damaged .*: delete it"):
        train(recipe, unfinished, resume=True)


def test_a_staged_run_that_goes_on_keeps_the_provenance_of_its_first_start(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["training", "first"])
    start_run(tmp_path, recipe)
    checkpoint = tmp_path / "stages" / "coarse" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    monkeypatch.setattr("sys.argv", ["training", "first", "--resume"])
    start_run(tmp_path, recipe)
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["command"].endswith("first")
    assert [item["command"].split()[-1] for item in provenance["resumed"]] == ["--resume"]


def test_the_recorded_command_can_be_pasted_into_a_shell(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["ablate", "a.yaml", "--only", "*_s1", "--out", "my runs"]
    monkeypatch.setattr("sys.argv", ["/x/training/__main__.py", *words])
    start_run(tmp_path, recipe)
    command = json.loads((tmp_path / "provenance.json").read_text())["command"]
    assert shlex.split(command) == ["distill-perception-train", *words]


@pytest.mark.parametrize(
    ("resume", "message"),
    [
        (False, "already holds a run"),
        (True, "without a checkpoint to go on from .restored, pruned or averaged"),
    ],
)
def test_a_network_that_was_not_trained_here_is_not_trained_over(
    tmp_path: Path, resume: bool, message: str
) -> None:
    run = untrained_run(tmp_path)
    recipe = load_recipe(run / "recipe.yaml")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(TrainingError, match=message):
        train(recipe, run, resume=resume)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_that_nothing_could_be_written_of_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"cannot write to .*file/run: .*file is a file; choose another"):
        refuse_taken(tmp_path / "file" / "run")
    refuse_taken(tmp_path / "new" / "run")


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path: Path) -> None:
    write_whole(tmp_path / "recipe.yaml", "name: old")

    def cut_off(path: Path, text: str, encoding: str) -> None:
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_text", cut_off)
        with pytest.raises(OSError, match="No space left"):
            write_whole(tmp_path / "recipe.yaml", "name: new")
    assert (tmp_path / "recipe.yaml").read_text() == "name: old"


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    said = refusal("archive", "pack", untrained_run(tmp_path), "/proc/nowhere/student.dpa")
    assert "/proc/nowhere" in said
    assert "Traceback" not in said
