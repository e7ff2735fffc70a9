"""Training where nobody has labelled anything: a teacher says what is right, or nobody does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_perception.compare.training_run import read_training_run
from tests.support.refusal import refusal
from tests.support.tiny_training import tiny_recipe, untrained_run, write_color_blocks
from tests.support.training_command import training_command
from tests.training.schedules.runs import save
from training.ablation import Ablation, ablate
from training.data.sources.folder import FolderSource
from training.lesson import NothingToLearnError, refuse_nothing_to_learn
from training.recipe import Recipe, load_recipe
from training.run_folder import RECIPE, RESULT, write_result
from training.train import train

HIDDEN = {"use_masks": False, "use_boxes": False}
NO_LABELS = "validation frames of 'blocks' have no labels"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_blocks(tmp_path_factory.mktemp("frames") / "f", 4, boxes=True)


def bare(frames: Path, **changes: Any) -> Recipe:
    """A recipe of frames whose labels are hidden."""
    values = tiny_recipe(frames, frames, epochs=1).model_dump(mode="json") | changes
    for source in (*values["data"]["train"], *values["data"]["val"]):
        source.update(HIDDEN)
    return Recipe.model_validate(values)


@pytest.mark.slow
def test_agreement_is_shown_alone_and_stays_when_the_run_is_evaluated(
    frames: Path, teacher: Path, tmp_path: Path
) -> None:
    recipe = bare(frames, teacher={"run": str(teacher)}, distillation=[{"name": "kl"}])
    done = training_command("train", save(recipe, tmp_path / "r.yaml"), "--out", tmp_path / "run")
    assert done.code == 0, done.err
    before = (tmp_path / "run" / RESULT).read_text()
    metrics = json.loads(before)["metrics"]
    told = training_command("evaluate", tmp_path / "run")
    assert told.code == 0, told.err
    for shown in (done.out, told.out):
        assert f"{NO_LABELS}: agreement with the teacher only" in shown
        assert f"{metrics['agreement/blocks']:.4f}" in shown
        assert "nan" not in shown
    assert (tmp_path / "run" / RESULT).read_text() == before
    assert read_training_run(tmp_path / "run").metrics["agreement/blocks"] == metrics["agreement/blocks"]


def test_scores_do_not_give_way_to_nothing(tmp_path: Path) -> None:
    run = untrained_run(tmp_path)
    write_result(run, 0, 0.0, {"miou/blocks": 0.5})
    recipe = load_recipe(run / RECIPE)
    hidden = [source.model_copy(update=HIDDEN) for source in recipe.data.val]
    save(recipe.model_copy(update={"data": recipe.data.model_copy(update={"val": hidden})}), run / RECIPE)
    told = training_command("evaluate", run)
    assert (told.code, told.out.split()[1:]) == (0, ["miou/blocks", "0.5000"])
    assert told.err.endswith(
        f"warning: {run}: no validation frame has labels, so its scores stay as they are\n"
    )
    assert json.loads((run / RESULT).read_text())["metrics"] == {"miou/blocks": 0.5}


@pytest.mark.slow
def test_agreement_stays_beside_new_scores_on_labels(frames: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(frames, frames, epochs=1, teacher={"run": teacher}, distillation=[{"name": "kl"}])
    train(recipe, tmp_path / "run")
    before = json.loads((tmp_path / "run" / RESULT).read_text())
    assert training_command("evaluate", tmp_path / "run").code == 0
    after = json.loads((tmp_path / "run" / RESULT).read_text())
    assert after["metrics"] == pytest.approx(before["metrics"], nan_ok=True)
    assert after["metrics"]["agreement/blocks"] is not None


@pytest.mark.slow
def test_with_a_cached_teacher_there_are_no_scores_and_it_says_why(
    frames: Path, teacher: Path, tmp_path: Path
) -> None:
    section = {"run": str(teacher), "cache": str(tmp_path / "cache")}
    recipe = bare(frames, teacher=section, distillation=[{"name": "kl"}])
    done = training_command("train", save(recipe, tmp_path / "r.yaml"), "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert f"{NO_LABELS}: no scores; agreement with the teacher takes one that runs in every step" in done.out
    scored = training_command("teacher", "score", tmp_path / "r.yaml", "--out", tmp_path / "scores")
    assert scored.code == 2
    assert "data.val: no source has labels (masks or boxes) to score a teacher by" in " ".join(
        scored.err.split()
    )
    assert not (tmp_path / "scores").exists()


def test_nothing_to_learn_from_is_refused_before_the_work(frames: Path, tmp_path: Path) -> None:
    said = refusal("train", save(bare(frames), tmp_path / "r.yaml"), "--out", tmp_path / "run")
    assert "no source has labels (masks) and no distillation loss is set" in said
    assert not (tmp_path / "run").exists()


def test_a_last_stage_with_nothing_to_learn_from_is_refused_before_the_first(
    frames: Path, teacher: Path, tmp_path: Path
) -> None:
    recipe = bare(
        frames,
        teacher={"run": str(teacher)},
        distillation=[{"name": "kl"}],
        stages=[{"name": "taught", "epochs": 1}, {"name": "alone", "epochs": 1, "teacher": "none"}],
    )
    with pytest.raises(NothingToLearnError):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_of_a_task_that_the_network_does_not_do_teach_nothing(tmp_path: Path) -> None:
    recipe = tiny_recipe(write_color_blocks(tmp_path / "masks", 1), tmp_path)
    refuse_nothing_to_learn(recipe)
    finder = recipe.model.model_copy(update={"tasks": ("detection",)})
    with pytest.raises(NothingToLearnError, match=r"no source has labels \(boxes\)"):
        refuse_nothing_to_learn(recipe.model_copy(update={"model": finder}))


def test_one_label_in_the_last_of_several_sources_is_enough_and_the_first_frames_show_it(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = bare(frames, model={"pretrained": False, "tasks": ["segmentation", "detection"]})
    first, labelled = recipe.data.train[0], {"name": "labelled", "use_masks": False, "use_boxes": True}
    first = first.model_copy(update={"use_boxes": True, "path": write_color_blocks(tmp_path / "masks", 3)})
    sources = [first, recipe.data.train[0].model_copy(update=labelled)]
    read = []
    plain = FolderSource.__getitem__
    monkeypatch.setattr(FolderSource, "__getitem__", lambda *a: read.append(a) or plain(*a))
    data = recipe.data.model_copy(update={"train": sources})
    refuse_nothing_to_learn(recipe.model_copy(update={"data": data}))
    assert len(read) == 2


@pytest.mark.slow
def test_an_ablation_leaves_out_labels_alone(frames: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = bare(frames, teacher={"run": str(teacher)})
    told: list[str] = []
    arms = {"kl": [{"name": "kl"}]}
    ablation = Ablation.model_validate({"recipe": recipe, "arms": arms, "seeds": [1]})
    assert ablate(ablation, tmp_path, told.append) == [tmp_path / "kl_s1"]
    assert told == [
        "1/2: labels_s1",
        "labels_s1 is left out: no source of data.train has labels",
        "2/2: kl_s1",
    ]
    assert not (tmp_path / "labels_s1").exists()
