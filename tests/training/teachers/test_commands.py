"""`teacher fill`, `teacher label` and `teacher score`, from a recipe with a tiny Hugging Face teacher."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")


from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.compare.training_run import read_training_run
from tests.support.tiny_training import write_color_blocks
from tests.support.training_command import training_command
from tests.training.teachers import tiny_checkpoints as tiny
from training.data.class_sets import CLASS_SETS
from training.data.source_spec import FolderSpec
from training.data.sources import open_source
from training.errors import TrainingError
from training.teachers import sections
from training.teachers.cache import fill
from training.teachers.sections import (
    frames_to_label,
    open_cached_teacher,
    read_sections,
    training_frames,
)

command = partial(training_command, "teacher")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("commands")
    tiny.segformer(root / "checkpoint", tiny.CITYSCAPES)
    write_color_blocks(root / "blocks", 5)
    content = {
        "name": "tiny",
        "data": {
            "size": [48, 72],
            "train": [{"name": "blocks", "path": str(root / "blocks"), "repeat": 3}],
            "val": [{"name": "blocks", "path": str(root / "blocks")}],
        },
        "teacher": {
            "huggingface": str(root / "checkpoint"),
            "size": "image",
            "tta": {"flip": True},
            "cache": str(root / "cache"),
        },
        "distillation": [{"name": "kl"}],
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(content))
    return root / "recipe.yaml"


def test_fill_then_read_in_the_data_pipeline(recipe: Path) -> None:
    first = command("fill", recipe)
    assert first.code == 0, first.err
    assert "5 frames asked, 0 were there" in first.out
    assert "0 frames asked, 5 were there" in command("fill", recipe).out
    found = read_sections(recipe)
    reader = open_cached_teacher(found).reader()
    frames = training_frames(found)
    assert len(frames) == 5
    for index in range(5):
        codes = reader.outputs_for(frames[index].image).codes
        assert codes is not None
        assert codes.shape == (12, 16, 24)  # of the 64x96 pixels that the checkpoint sees
        assert codes.dtype == np.uint8


def test_label_writes_a_folder_to_train_on(recipe: Path, tmp_path: Path) -> None:
    data = recipe.parent / "blocks" / "images"
    done = command("label", recipe, "--data", data, "--out", tmp_path / "out", "--confidence", "0.2")
    assert done.code == 0, done.err
    pixels = [cv2.imread(str(path)) for path in sorted(data.iterdir())]
    frames = [LabelledFrame(str(index), image, None, None) for index, image in enumerate(pixels)]
    write_bag(tmp_path / "bag", frames, BagOptions(start_ns=10**18))
    assert len(frames_to_label(tmp_path / "bag")) == 5, "a bag is known as one"
    source = open_source(FolderSpec(name="mine", path=tmp_path / "out"))
    assert len(source) == 5
    assert source.class_set.names == CLASS_SETS["camvid"].names
    told = json.loads((tmp_path / "out" / "pseudo_labels.json").read_text())
    assert told["teacher_spec"]["tta"] == {"flip": True, "scales": [1.0]}
    assert told["command"].startswith("distill-perception-train teacher label ")


def test_scores_are_a_row_for_compare(recipe: Path, tmp_path: Path) -> None:
    done = command("score", recipe, "--out", tmp_path / "teacher")
    assert done.code == 0, done.err
    run = read_training_run(tmp_path / "teacher")
    said = " ".join(done.out.split())
    assert f"miou/blocks {run.metrics['miou/blocks']:.4f}" in said
    assert f"{(run.cost.macs or 0) / 1e6:.2f} M multiply-accumulates a frame of 72x48" in said
    assert run.origin["git_hash"]
    content = yaml.safe_load(recipe.read_text())
    del content["teacher"]["tta"]
    (tmp_path / "one_view.yaml").write_text(yaml.safe_dump({"recipe": content, "arms": {}}))  # an ablation's
    assert command("score", tmp_path / "one_view.yaml", "--out", tmp_path / "one_view").code == 0
    assert run.cost.macs == 2 * (read_training_run(tmp_path / "one_view").cost.macs or 0) > 0


def test_help_names_the_formats_that_a_path_is_enough_for() -> None:
    said = " ".join(command("label", "--help").out.replace("│", " ").split())
    assert "folder, images, camvid, cityscapes, bdd100k, kitti_object, kitti_semantic, bag." in said


def test_a_place_that_scores_and_labels_cannot_go_to_is_refused_before_the_work(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "open_plain_teacher", lambda _: pytest.fail("the teacher was opened"))
    (tmp_path / "file").write_text("mine")
    data = recipe.parent / "blocks" / "images"
    for words in (("score", recipe), ("label", recipe, "--data", data)):
        for out in (tmp_path / "file", tmp_path / "file" / "deep" / "out"):
            refused = command(*words, "--out", out)
            assert refused.code == 2
            assert f"error: cannot write to {out}: {tmp_path / 'file'} is a file" in refused.err
    assert "holds something else" in command("score", recipe, "--out", recipe.parent).err


def test_ctrl_c_says_how_to_go_on(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fill, "fill_cache", interrupt)
    stopped = command("fill", recipe)
    assert (stopped.code, "run the same command again" in stopped.err) == (130, True)


def test_mistakes_are_one_line_and_exit_code_2(recipe: Path) -> None:
    data = recipe.parent / "blocks" / "images"
    refused = command("label", recipe, "--data", data, "--out", data)
    assert refused.code == 2
    assert refused.err.splitlines()[-1].startswith("error:")
    assert (
        "CLASS=VALUE"
        in command("label", recipe, "--data", data, "--out", data, "--class-confidence", "x").err
    )


def test_mistakes_in_a_recipe_name_the_section(recipe: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(recipe.read_text())
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({**content, "teacher": {"hugingface": "x"}}))
    with pytest.raises(TrainingError, match=r"teacher: unknown key 'hugingface' .did you mean"):
        read_sections(path)
    path.write_text(yaml.safe_dump({"data": content["data"]}))
    with pytest.raises(TrainingError, match="has no teacher section"):
        read_sections(path)
    del content["teacher"]["cache"]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(TrainingError, match=r"teacher\.cache is missing"):
        open_cached_teacher(read_sections(path))
    with pytest.raises(TrainingError, match=r"unknown format 'imges' .did you mean 'images'"):
        frames_to_label(tmp_path, "imges")
