"""Pseudo-labels: what the teacher is sure of, in a folder to train on that can be resumed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.teachers.fakes import FakeTeacher
from training.data.class_sets import CLASS_SETS
from training.data.source_spec import FolderSpec, ImagesSpec
from training.data.sources import open_source
from training.errors import TrainingError
from training.teachers.base import ScoredBoxes, TeacherOutputs
from training.teachers.pseudo.label import pseudo_label
from training.teachers.pseudo.labels import Thresholds, confident_boxes, confident_masks

CAMVID = CLASS_SETS["camvid"]
ROAD, POLE, CAR, VOID = 3, 2, 8, 11


def by_brightness(images: Tensor) -> TeacherOutputs:
    """Bright pixels are road for sure; the others are a pole at 0.6, or a car at 0.4."""
    bright = (torch.nn.functional.avg_pool2d(images, 4).mean(1) > 128).float()[:, None]
    probability = torch.full((len(images), 11, *bright.shape[-2:]), 1e-6)
    probability[:, ROAD : ROAD + 1] = bright
    probability[:, POLE : POLE + 1] = 0.6 * (1 - bright)
    probability[:, CAR : CAR + 1] = 0.4 * (1 - bright)
    boxes = ScoredBoxes(
        torch.tensor([[2.0, 3.0, 20.0, 15.0], [1.0, 1.0, 9.0, 9.0]]),
        torch.tensor([[0.1, 0.9, 0.2], [0.4, 0.1, 0.1]]),
    )
    return TeacherOutputs(probability.clamp(min=1e-6).log().log_softmax(1), None, [boxes] * len(images))


def teacher() -> FakeTeacher:
    return FakeTeacher(by_brightness, [True] * 11, [True] * 3)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Left half dark, right half bright; two in a subfolder, one of another size."""
    for name, height in (("a.png", 32), ("day/b.png", 32), ("day/c.png", 40)):
        picture = np.zeros((height, 48, 3), np.uint8)
        picture[:, 24:] = 255
        path = tmp_path / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    return tmp_path / "frames"


def source_of(folder: Path):
    return open_source(ImagesSpec(name="frames", path=folder))


def test_labels_are_read_back_as_training_data(pictures: Path, tmp_path: Path) -> None:
    out = pseudo_label(teacher(), source_of(pictures), CAMVID, tmp_path / "out")
    labelled = open_source(FolderSpec(name="mine", path=out))
    samples = {sample.name: sample for sample in (labelled[i] for i in range(len(labelled)))}
    assert set(samples) == {"a", "day_b", "day_c"}
    sample = samples["day_c"]
    assert labelled.class_set.names == CAMVID.names
    assert sample.mask.shape == (40, 48)
    assert set(np.unique(sample.mask[:, :20])) == {VOID}  # 0.6 is below 0.8
    assert set(np.unique(sample.mask[:, 28:])) == {ROAD}
    assert sample.has_boxes
    np.testing.assert_allclose(sample.boxes, [[2, 3, 20, 15]])  # the other one's best score is 0.4
    assert sample.labels.tolist() == [9]


def test_thresholds_may_differ_by_class(pictures: Path, tmp_path: Path) -> None:
    thresholds = Thresholds(0.8, {"pole": 0.5}, score=0.3)
    out = pseudo_label(teacher(), source_of(pictures), CAMVID, tmp_path / "out", thresholds)
    sample = open_source(FolderSpec(name="mine", path=out))[0]
    assert set(np.unique(sample.mask[:, :20])) == {POLE}
    assert sorted(sample.labels.tolist()) == [8, 9]
    with pytest.raises(TrainingError, match=r"no class 'poles' .did you mean 'pole'"):
        Thresholds(by_class={"poles": 0.5}).of_classes(CAMVID)
    with pytest.raises(TrainingError, match="threshold confidence is 80"):
        Thresholds(80).of_classes(CAMVID)


def test_what_is_none_of_the_students_classes_is_void() -> None:
    # Half the mass at the second pixel is a class that the student does not have: it wins with 0.5.
    log_probs = torch.tensor([[0.9, 0.4], [0.1, 0.1]]).log().view(1, 2, 1, 2)
    found = confident_masks(log_probs, (1, 2), torch.tensor([0.3, 0.3]), 255)
    assert found.tolist() == [[[0, 255]]]


def test_a_stopped_run_goes_on_behind_its_last_whole_frame(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = teacher()

    def stop(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pseudo_label(asked, source_of(pictures), CAMVID, out, batch=1, report=stop)
    assert json.loads((out / "pseudo_labels.json").read_text())["finished"] is False
    with (out / "pseudo_labels.jsonl").open("a") as journal:
        journal.write('{"name": "day_c", "file_na')  # killed while writing
    asked = teacher()
    pseudo_label(asked, source_of(pictures), CAMVID, out, batch=1)
    assert asked.asked == 1
    assert len(json.loads((out / "boxes.json").read_text())["images"]) == 3
    again = teacher()
    pseudo_label(again, source_of(pictures), CAMVID, out)
    assert again.asked == 0


def test_provenance_tells_teacher_thresholds_and_what_came_out(pictures: Path, tmp_path: Path) -> None:
    out = pseudo_label(
        teacher(),
        source_of(pictures),
        CAMVID,
        tmp_path / "out",
        about={"teacher": "segformer", "command": "x"},
    )
    told = json.loads((out / "pseudo_labels.json").read_text())
    assert told["teacher"] == "segformer"
    assert len(told["fingerprint"]) == 32
    assert told["thresholds"] == {"confidence": 0.8, "by_class": {}, "score": 0.5}
    assert told["frames"] == 3
    assert told["boxes"] == {"car": 0, "pedestrian": 3, "bicyclist": 0}
    assert told["pixel_share"]["road"] == pytest.approx(0.5, abs=0.05)
    assert told["pixel_share"]["road"] + told["pixel_share"]["void"] == pytest.approx(1.0, abs=1e-4)
    assert {"git_hash", "date"} <= told.keys()


def test_folders_of_other_labels_are_refused(pictures: Path, tmp_path: Path) -> None:
    out = pseudo_label(teacher(), source_of(pictures), CAMVID, tmp_path / "out")
    with pytest.raises(TrainingError, match=r"was made with another thresholds .*choose another --out"):
        pseudo_label(teacher(), source_of(pictures), CAMVID, out, Thresholds(0.5))
    with pytest.raises(TrainingError, match="holds no pseudo-labels; choose another"):
        pseudo_label(teacher(), source_of(pictures), CAMVID, pictures)


def test_frames_whose_names_would_collide_are_refused(pictures: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(pictures / "day_b.png"), np.zeros((32, 48, 3), np.uint8))
    with pytest.raises(TrainingError, match="two frames are named day_b"):
        pseudo_label(teacher(), source_of(pictures), CAMVID, tmp_path / "out")


def test_a_teacher_of_one_task_labels_that_task_alone(pictures: Path, tmp_path: Path) -> None:
    def boxes_only(images: Tensor) -> TeacherOutputs:
        return TeacherOutputs(None, None, by_brightness(images).boxes)

    out = pseudo_label(
        FakeTeacher(boxes_only, None, [True] * 3), source_of(pictures), CAMVID, tmp_path / "boxes"
    )
    sample = open_source(FolderSpec(name="mine", path=out))[0]
    assert (sample.has_mask, sample.has_boxes) == (False, True)
    masks_only = FakeTeacher(lambda images: TeacherOutputs(by_brightness(images).logits), [True] * 11)
    out = pseudo_label(masks_only, source_of(pictures), CAMVID, tmp_path / "masks")
    sample = open_source(FolderSpec(name="mine", path=out))[0]
    assert (sample.has_mask, sample.has_boxes) == (True, False)


def test_things_that_the_teacher_does_not_know_are_ignored_over_the_whole_frame(
    pictures: Path, tmp_path: Path
) -> None:
    knows_no_bicyclist = FakeTeacher(by_brightness, [True] * 11, [True, True, False])
    out = pseudo_label(knows_no_bicyclist, source_of(pictures), CAMVID, tmp_path / "out")
    labelled = open_source(FolderSpec(name="mine", path=out))
    for index, height in enumerate((32, 32, 40)):
        sample = labelled[index]
        assert sample.labels.tolist() == [9]
        assert sample.ignored_labels.tolist() == [10]
        np.testing.assert_array_equal(sample.ignored, [[0, 0, 48, height]])


def test_boxes_carry_their_best_class_and_are_sorted() -> None:
    item = ScoredBoxes(
        torch.tensor([[0.0, 0.0, 5.0, 5.0], [1.0, 1.0, 6.0, 6.0], [3.0, 3.0, 3.001, 9.0]]),
        torch.tensor([[0.6, 0.1, 0.0], [0.1, 0.2, 0.7], [0.9, 0.1, 0.1]]),  # the last is but a line
    )
    found = np.array(confident_boxes(item, CAMVID, 0.5))
    np.testing.assert_allclose(found, [[1, 1, 6, 6, 10, 0.7], [0, 0, 5, 5, 8, 0.6]], rtol=1e-6)
