"""Mistakes that stop a compression before its first step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.tiny_nets import BOTH, tiny_net
from tests.support.tiny_training import own_classes, tiny_recipe, untrained_run
from training.compression.chain import compress
from training.compression.check import checked_recipe
from training.compression.points import Point, write_point
from training.compression.spec import CompressRecipe
from training.compression.steps import step_folder
from training.data.spec import DataSpec
from training.errors import TrainingError
from training.models.spec import ModelSpec
from training.recipe import load_recipe
from training.run_folder import write_untrained

FINETUNE = {"do": "finetune", "epochs": 1}
CHANNELS = {"do": "channels", "latency": 0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("student"))


def recipe(run: Path, *steps: object, **changes: object) -> CompressRecipe:
    values = {"name": "small", "run": run, "engine": "onnxruntime", "steps": steps}
    return CompressRecipe.model_validate(values | changes)


def refused(spec: CompressRecipe, folder: Path) -> str:
    with pytest.raises(TrainingError) as caught:
        compress(spec, folder)
    assert not folder.exists()
    return str(caught.value)


def data_of(run: Path, class_set: object) -> DataSpec:
    return load_recipe(run / "recipe.yaml").data.model_copy(update={"class_set": str(class_set)})


def test_data_of_other_classes_is_refused(run: Path, tmp_path: Path) -> None:
    """Of as many, too: the bundle would name them wrongly."""
    for other in ("cityscapes", str(own_classes(tmp_path / "own.yaml"))):
        said = refused(recipe(run, FINETUNE, data=data_of(run, other)), tmp_path / "out")
        assert said.startswith(f"data.class_set: '{other}' has other classes than {run} was trained on")
        assert said.endswith("write `class_set: camvid` there")


def test_a_taken_run_of_other_classes_is_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    own = own_classes(tmp_path / "own.yaml")
    text = (other / "recipe.yaml").read_text()
    (other / "recipe.yaml").write_text(text.replace("class_set: camvid", f"class_set: {own}"))
    said = refused(recipe(run, {"do": "take", "run": other}), tmp_path / "out")
    assert f"{other} was trained on the classes of '{own}', the start on those of 'camvid'" in said


@pytest.mark.parametrize("step", [FINETUNE, {"do": "qat", "epochs": 1}, {**CHANNELS, "importance": "taylor"}])
def test_a_teacher_that_is_not_there_is_refused_if_a_step_needs_one(
    step: dict[str, object], run: Path, tmp_path: Path
) -> None:
    absent, present = {"run": tmp_path / "absent"}, {"run": run}
    said = refused(recipe(run, CHANNELS, step, teacher=absent), tmp_path / "out")
    assert said.startswith(f"teacher.run: {absent['run']} cannot teach")
    said = refused(recipe(run, step, teacher={"ensemble": [present, absent]}), tmp_path / "out")
    assert said.startswith("teacher.ensemble.1.run: ")
    checked_recipe(recipe(run, CHANNELS, teacher=absent), tmp_path / "out")
    checked_recipe(recipe(run, step, teacher={"ensemble": [present, present]}), tmp_path / "out")
    checked_recipe(recipe(run, step, teacher={"huggingface": "some/model"}), tmp_path / "out")


def test_a_teacher_that_is_not_finished_is_refused(run: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(run, teacher)
    (teacher / "result.json").unlink()
    said = refused(recipe(run, FINETUNE, teacher={"run": teacher}), tmp_path / "out")
    assert "result.json is missing" in said


def test_a_teacher_may_be_gone_once_its_steps_are_done(run: Path, tmp_path: Path) -> None:
    spec = recipe(run, FINETUNE, {"do": "sparsify"}, teacher={"run": tmp_path / "absent"})
    place = step_folder(tmp_path, 1, spec.steps[0])
    place.mkdir(parents=True)
    write_point(place, Point(place.name, "fp32", 1, 1, 0.0, 1, {}))
    checked_recipe(spec, tmp_path)


def test_bn_scale_without_batch_norm_is_refused(run: Path, tmp_path: Path) -> None:
    values = {"encoder": "squeezenet1_1", "width_multiplier": 1.0, "decoder": {"name": "fpn", "width": 16}}
    spec = ModelSpec(pretrained=False, tasks=BOTH, **values)
    frames = run.parent / "val"
    write_untrained(tmp_path / "run", tiny_recipe(frames, frames, model=spec), tiny_net(**values), None)
    steps = [FINETUNE, {**CHANNELS, "importance": "bn_scale"}]
    assert "they have no batch norm" in refused(recipe(tmp_path / "run", *steps), tmp_path / "out")
    checked_recipe(recipe(run, *steps), tmp_path / "out")


def test_a_name_that_no_bundle_can_have_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match=r"name\n.*should match pattern"):
        recipe(run, FINETUNE, name="my student/1")
