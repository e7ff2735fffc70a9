"""One training at a time in a run folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.refusal import refusal
from tests.support.tiny_training import tiny_recipe
from tests.training.schedules.runs import save
from training.errors import TrainingError
from training.run_folder import locked_run
from training.train import train


@pytest.mark.parametrize("resume", [False, True])
def test_another_training_is_kept_out(tmp_path: Path, resume: bool) -> None:
    file = save(tiny_recipe(tmp_path, tmp_path), tmp_path / "r.yaml")
    with locked_run(tmp_path / "run"):
        said = refusal("train", file, "--out", tmp_path / "run", *["--resume"][: int(resume)])
    assert said == (
        f"error: {tmp_path / 'run'}: another training writes there (pid {os.getpid()}): choose another "
        "--out, or let it end first"
    )


def test_a_refused_training_leaves_no_folder_and_no_lock(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "nowhere", tmp_path)
    for _ in range(2):
        with pytest.raises(TrainingError, match="nowhere"):
            train(recipe, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variables", [{"NODE_RANK": "1"}, {"GROUP_RANK": "2"}])
def test_the_first_machine_speaks_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with locked_run(tmp_path / "run"):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with locked_run(tmp_path / "run"):
            assert (tmp_path / "run").is_dir()


def test_other_processes_of_a_training_are_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked_run(tmp_path / "run"):
        monkeypatch.setattr("lightning.pytorch.utilities.rank_zero_only.rank", 1)
        with locked_run(tmp_path / "run"):
            assert (tmp_path / "run").is_dir()
