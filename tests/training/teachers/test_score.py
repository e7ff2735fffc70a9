"""A teacher that reads colour blocks as they are has the best scores; one that errs pays for its errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.tiny_training import SIZE, tiny_recipe, write_color_blocks
from training.data.class_sets import CAMVID
from training.data.spec import DataSpec
from training.teachers.base import ScoredBoxes, Teacher, TeacherOutputs
from training.teachers.detection_maps import render_boxes
from training.teachers.score import score_teacher

COLORS = torch.from_numpy(np.array([item.color for item in CAMVID], np.float32))
THINGS = [item.id for item in CAMVID if item.kind == "thing"]
HEIGHT, WIDTH = SIZE[0] // 2, SIZE[1] // 2


class Reader(Teacher):
    """Names the class whose display colour a pixel has; boxes are its blocks.

    Args:
        mapped: says that its boxes are maps. blind: takes all cars for the next thing class, in both tasks.
    """

    def __init__(self, mapped: bool = False, blind: bool = False, detects: bool = True) -> None:
        super().__init__([True] * len(CAMVID), [True] * len(THINGS) if detects else None)
        self.weight = nn.Parameter(torch.zeros(1))
        self.mapped, self.blind = mapped, blind

    def settings(self) -> dict[str, object]:
        return {}

    def predict(self, images: Tensor) -> TeacherOutputs:
        ids = (images.movedim(1, -1)[..., None, :] - COLORS).square().sum(-1).argmin(-1)
        if self.blind:
            ids[ids == THINGS[0]] = THINGS[1]
        logits = F.one_hot(ids, len(CAMVID)).movedim(-1, 1).float().mul(20).log_softmax(1)
        if self.known_things is None:
            return TeacherOutputs(logits)
        boxes = [self._boxes(frame) for frame in ids]
        return TeacherOutputs(logits, render_boxes(boxes, *SIZE, 4), None if self.mapped else boxes)

    @staticmethod
    def _boxes(ids: Tensor) -> ScoredBoxes:
        corners, scores = [], []
        for y in (0, HEIGHT):
            for x in (0, WIDTH):
                if (label := int(ids[y, x])) in THINGS:
                    corners.append([x, y, x + WIDTH, y + HEIGHT])
                    scores.append([0.9 * (label == thing) for thing in THINGS])
        return ScoredBoxes(
            torch.tensor(corners).view(-1, 4).float(), torch.tensor(scores).view(-1, len(THINGS))
        )


@pytest.fixture
def data(tmp_path: Path) -> DataSpec:
    blocks = write_color_blocks(tmp_path / "blocks", 12, boxes=True)
    return tiny_recipe(blocks, blocks).data


@pytest.mark.parametrize("mapped", [False, True])
def test_who_says_the_labels_has_every_score_at_its_best(data: DataSpec, mapped: bool) -> None:
    scores = score_teacher(Reader(mapped), data, 5)
    assert scores["miou/blocks"] == 1
    assert scores["map50/blocks"] > 0.999
    assert scores["ece/blocks"] < 0.01


def test_a_class_taken_for_another_costs_both(data: DataSpec) -> None:
    scores = score_teacher(Reader(blind=True), data, 5)
    assert scores[f"iou/blocks/{CAMVID[THINGS[0]].name}"] == 0
    assert scores[f"ap/blocks/{CAMVID[THINGS[0]].name}"] == 0
    assert scores["miou/blocks"] < 10 / 11
    assert scores["map50/blocks"] < 2 / 3


def test_one_task_is_scored_alone(data: DataSpec) -> None:
    scores = score_teacher(Reader(detects=False), data, 5)
    assert scores["miou/blocks"] == 1
    assert not [name for name in scores if name.startswith("map50")]
