"""Pieces of rare classes, from one frame into another."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.class_sets import class_set
from training.data.copy_paste import CopyPaste, pieces
from training.data.sample import Sample, no_boxes, no_labels
from training.data.spec import CopyPasteSpec
from training.data.visible import visible_share

CAMVID = class_set("camvid")
ROAD, POLE, CAR, PEDESTRIAN = 3, 2, 8, 9
POLE_COLOR, PERSON_COLOR = (10, 200, 10), (200, 10, 10)


def plain(**changes: Any) -> Sample:
    """A grey road with a car whose box is known."""
    mask = np.full((80, 120), ROAD, np.uint8)
    mask[30:50, 40:80] = CAR
    image = np.full((80, 120, 3), 90, np.uint8)
    boxes, labels = np.array([[40, 30, 80, 50]], np.float32), np.array([CAR])
    return dataclasses.replace(Sample("plain", image, mask, boxes, labels, has_boxes=True), **changes)


def donor(has_boxes: bool = True) -> Sample:
    """A pole and two pedestrians who touch; a third of a few pixels."""
    image, mask = np.zeros((80, 120, 3), np.uint8), np.full((80, 120), ROAD, np.uint8)
    image[5:60, 20:23], mask[5:60, 20:23] = POLE_COLOR, POLE
    image[5:8, 23:33], mask[5:8, 23:33] = POLE_COLOR, POLE  # its arm
    image[40:60, 60:80], mask[40:60, 60:80] = PERSON_COLOR, PEDESTRIAN
    image[70:72, 0:3], mask[70:72, 0:3] = PERSON_COLOR, PEDESTRIAN
    boxes = np.array([[60, 40, 70, 60], [70, 40, 80, 60], [0, 70, 3, 72]], np.float32)
    sample = Sample("donor", image, mask, boxes, np.full(3, PEDESTRIAN), has_boxes=True)
    return sample if has_boxes else Sample("donor", image, mask)


def paste(sample: Sample, seed: int, names: tuple[str, ...] = ("pole", "pedestrian"), **spec: Any) -> Sample:
    settings = CopyPasteSpec(classes=names, probability=1.0, **spec)
    return CopyPaste(settings, CAMVID)(sample, np.random.default_rng(seed), lambda _: donor(), 0.2)


def test_boxed_things_are_pieces_and_connected_parts_where_there_are_no_boxes() -> None:
    ids = [POLE, PEDESTRIAN]
    boxed = pieces(donor(), ids, 40)
    assert [(p.class_id, p.left, p.top, int(p.shape.sum())) for p in boxed] == [
        (POLE, 20, 5, 195),
        (PEDESTRIAN, 60, 40, 200),
        (PEDESTRIAN, 70, 40, 200),
    ]
    connected = pieces(donor(has_boxes=False), ids, 40)
    assert [(p.class_id, int(p.shape.sum())) for p in connected] == [(POLE, 195), (PEDESTRIAN, 400)]
    assert pieces(dataclasses.replace(donor(), has_mask=False), ids, 40) == []
    crowd = dataclasses.replace(
        donor(), boxes=no_boxes(), labels=no_labels(), ignored=donor().boxes, ignored_labels=donor().labels
    )
    assert {piece.class_id for piece in pieces(crowd, ids, 40)} == {POLE}


def test_pixels_mask_and_box_of_a_piece_arrive_together() -> None:
    changed = 0
    for seed in range(30):
        out = paste(plain(), seed)
        for color, class_id in ((POLE_COLOR, POLE), (PERSON_COLOR, PEDESTRIAN)):
            np.testing.assert_array_equal((out.image == color).all(-1), out.mask == class_id)
        untouched = ~np.isin(out.mask, [POLE, PEDESTRIAN])
        np.testing.assert_array_equal(out.image[untouched], plain().image[untouched])
        np.testing.assert_array_equal(out.mask[untouched], plain().mask[untouched])
        people = out.boxes[out.labels == PEDESTRIAN].astype(int)
        for x1, y1, x2, y2 in people:
            assert (y1, y2) == (40, 60)  # its height in the picture goes with its distance
            assert (out.mask[y1:y2, x1:x2] == PEDESTRIAN).mean() > 0.5
        in_boxes = np.zeros(out.mask.shape, bool)
        for x1, y1, x2, y2 in people:
            in_boxes[y1:y2, x1:x2] = True
        assert not (out.mask[~in_boxes] == PEDESTRIAN).any()
        assert POLE not in out.labels
        changed += (out.mask != plain().mask).any()
    assert changed > 20


def test_a_box_that_is_covered_goes_and_one_that_peeps_out_stays() -> None:
    outcomes = set()
    small = plain(boxes=np.array([[40, 42, 50, 52]], np.float32))
    for seed in range(60):
        out = paste(small, seed, ("pedestrian",))
        covered = np.isin(out.mask[42:52, 40:50], [PEDESTRIAN]).mean()
        assert (CAR in out.labels) == (1 - covered >= 0.2)
        assert (CAR in out.ignored_labels) == (CAR not in out.labels)
        outcomes.add(CAR in out.labels)
    assert outcomes == {True, False}


def test_frames_without_known_boxes_get_none() -> None:
    for seed in range(10):
        out = paste(Sample("x", plain().image, plain().mask), seed)
        assert (len(out.boxes), out.has_boxes) == (0, False)


def test_frames_without_a_mask_or_by_chance_are_left_alone() -> None:
    bare = plain(has_mask=False)
    assert paste(bare, 0) is bare
    never = CopyPaste(CopyPasteSpec(classes=("pole",), probability=0.0), CAMVID)
    sample = plain()
    assert never(sample, np.random.default_rng(0), lambda _: donor(), 0.2) is sample


def test_it_gives_up_after_some_frames_without_such_classes() -> None:
    looked = []

    def empty(_: np.random.Generator) -> Sample:
        looked.append(1)
        return plain()

    sample = plain()
    paster = CopyPaste(CopyPasteSpec(classes=("pole",), probability=1.0, tries=3), CAMVID)
    assert paster(sample, np.random.default_rng(0), empty, 0.2) is sample
    assert len(looked) == 3


def test_the_sample_itself_is_not_written_to() -> None:
    sample = plain()
    for seed in range(5):
        paste(sample, seed)
    np.testing.assert_array_equal(sample.image, plain().image)
    np.testing.assert_array_equal(sample.mask, plain().mask)


@settings(max_examples=60)
@given(
    covered=st.lists(st.booleans(), min_size=48, max_size=48),
    boxes=st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(1, 8), st.integers(1, 6)), max_size=4
    ),
)
def test_the_visible_share_of_a_box_counts_pixels(
    covered: list[bool], boxes: list[tuple[int, int, int, int]]
) -> None:
    picture = np.array(covered).reshape(6, 8)
    corners = [(x, y, min(x + w, 8), min(y + h, 6)) for x, y, w, h in boxes]
    expected = [1 - picture[y1:y2, x1:x2].mean() for x1, y1, x2, y2 in corners]
    shares = visible_share(np.array(corners, np.float32).reshape(-1, 4), picture)
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_the_visible_share_is_of_all_pixels_that_a_box_touches_in_the_picture() -> None:
    picture = np.zeros((6, 8), bool)
    picture[:, :2] = True
    # Columns 1 to 3, of which the first is covered; and, of a box that stands out to the left, 0 to 3.
    shares = visible_share(np.array([[1.5, 0, 3.5, 2], [-4, 0, 4, 2]], np.float32), picture)
    np.testing.assert_allclose(shares, [2 / 3, 1 / 2])
