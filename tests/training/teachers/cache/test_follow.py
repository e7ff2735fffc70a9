"""A teacher's answer goes wherever its frame's mask and boxes go, through the whole of our augmentation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.data.augment import Augmenter
from training.data.class_sets import class_set
from training.data.sample import Sample
from training.data.sampler import generator
from training.data.spec import AugmentSpec
from training.data.trace import FIRST, Trace
from training.teachers.cache.answer import Answer
from training.teachers.cache.follow import follow, start

CAMVID = class_set("camvid")
ROAD, POLE, CAR = 3, 2, 8
GREY = 114
BOXES = np.array([[30, 40, 90, 80], [100, 20, 116, 30]], np.float32)
EVERYTHING: dict[str, Any] = {
    "scale": (0.5, 2.0),
    "weather": 0.5,
    "cutout": {"probability": 0.7},
    "copy_paste": {"classes": ["pole"], "probability": 0.7},
}


def street() -> Sample:
    """A frame that tells its own coordinates: red is the column, green the row; blue tells it from others."""
    image = np.full((120, 160, 3), 50, np.uint8)
    image[..., 0], image[..., 1] = np.arange(160), np.arange(120)[:, None]
    mask = np.full((120, 160), ROAD, np.uint8)
    return Sample("street", image, mask, BOXES[:1].copy(), np.array([CAR]), has_boxes=True)


def other(_: np.random.Generator) -> Sample:
    """Another frame with a pole to copy."""
    mask = np.full((120, 160), ROAD, np.uint8)
    mask[10:100, 70:90] = POLE
    return Sample("other", np.full((120, 160, 3), 200, np.uint8), mask)


def augmented(number: int, trace: Trace | None, **changes: Any) -> Sample:
    values = {"crop": (64, 80), "color": 0.0, "blur": 0.0, "min_visible": 0.3, **changes}
    augmenter = Augmenter(AugmentSpec.model_validate(values), CAMVID)
    return augmenter(replace(street(), trace=trace), generator(5, 0, number), other)


def answer(boxes: np.ndarray = BOXES) -> Answer:
    scores = np.linspace(0.9, 0.5, len(boxes) * 3).reshape(-1, 3).astype(np.float16)
    return Answer(None, boxes, scores)


def test_a_frame_is_changed_in_the_same_way_whether_or_not_an_answer_follows_it() -> None:
    for number in range(30):
        alone = augmented(number, None, color=0.8, blur=0.3, **EVERYTHING)
        followed = augmented(number, start(answer(), 120, 160), color=0.8, blur=0.3, **EVERYTHING)
        assert alone.trace is None
        for name in ("image", "mask", "boxes", "labels"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(followed, name))


def test_every_pixel_knows_where_it_came_from_and_foreign_ones_come_from_nowhere() -> None:
    changes = EVERYTHING | {"scale": (1.0, 1.0), "weather": 0.0, "crop": (140, 100)}
    shares = []
    for number in range(30):
        out = augmented(number, start(answer(), 120, 160), **changes)
        assert out.trace is not None
        rows, columns = out.trace.came_from.astype(int).transpose(2, 0, 1) - FIRST
        own = rows >= 0
        np.testing.assert_array_equal(own, out.image[..., 2] == 50)
        np.testing.assert_array_equal(out.image[own][:, 0], columns[own])
        np.testing.assert_array_equal(out.image[own][:, 1], rows[own])
        assert ((out.image[~own] == GREY) | (out.image[~own] == 200)).all()  # padded, cut out or pasted
        shares.append(own.mean())
    assert 0.1 < min(shares) < max(shares) < 1


def test_the_teachers_boxes_change_and_go_as_the_labels_boxes_do() -> None:
    """The label's box is the teacher's first one."""
    seen = set()
    for number in range(60):
        out = augmented(number, start(answer(), 120, 160), **EVERYTHING)
        assert out.trace is not None
        first = out.trace.rows == 0
        labelled = out.boxes[out.labels == CAR]
        np.testing.assert_array_equal(out.trace.boxes[first], labelled)
        found = follow(answer(), out.trace, (120, 160), (16, 20))
        assert found.boxes is not None
        assert found.scores is not None
        np.testing.assert_array_equal(found.scores, answer().scores[out.trace.rows])
        seen.add(tuple(out.trace.rows))
    assert seen == {(), (0,), (1,), (0, 1)}


@pytest.mark.parametrize("boxes", [np.zeros((0, 4), np.float32), np.array([[5, 5, 5, 9]], np.float32)])
def test_no_boxes_and_empty_ones_pass(boxes: np.ndarray) -> None:
    out = augmented(0, start(answer(boxes), 120, 160))
    assert out.trace is not None
    found = follow(answer(boxes), out.trace, (120, 160), (16, 20))
    assert found.boxes is not None
    assert found.scores is not None
    assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0, 3))


def test_a_teacher_that_does_one_task_answers_that_one() -> None:
    segments = Answer(np.full((12, 30, 40), 9, np.uint8), None, None)
    out = augmented(0, start(segments, 120, 160))
    assert out.trace is not None
    found = follow(segments, out.trace, (120, 160), (16, 20))
    assert found.boxes is found.scores is None
    assert found.codes is not None
    assert found.codes.shape == (12, 16, 20)
    assert follow(answer(), out.trace, (120, 160), (16, 20)).codes is None
