"""`~` is the home folder, in recipes and where the shell has left it on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from tests.support import drives
from training.cli import main
from training.recipe import load_recipe


def test_paths_of_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: home\n"
        "model: {init: ~/runs/start}\n"
        "teacher: {huggingface: ~/segformer}\n"
        "data: {train: [{name: a, path: ~/a}], val: [{name: b, path: ~/b}], class_set: ~/mine.yaml}\n"
    )
    read = load_recipe(recipe)
    assert read.teacher is not None
    assert (read.teacher.huggingface, read.data.class_set) == ("/home/ann/segformer", "/home/ann/mine.yaml")
    assert read.model.init == Path("/home/ann/runs/start")
    assert [source.path for source in (*read.data.train, *read.data.val)] == [
        Path("/home/ann/a"),
        Path("/home/ann/b"),
    ]


def test_arguments_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drives.write_folder(tmp_path / "frames", frames=2)
    for name in ("boxes.json", "classes.json"):  # its classes are CamVid's then
        (tmp_path / "frames" / name).unlink()
    label = next((tmp_path / "frames" / "labels").iterdir())
    mask = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    mask[10:20, 10:20] = 8  # a car
    cv2.imwrite(str(label), mask)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["distill-perception-train", "boxes", "~/frames", "--min-pixels=4"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert (tmp_path / "frames" / "boxes.json").is_file()
