import numpy as np
import pytest

from distill_perception.vision.boxes import Detection
from distill_perception.vision.overlay import draw_overlay
from distill_perception.vision.palette import colorize, palette_of
from tests.support.tiny_bundle import CLASSES


def test_a_mask_is_painted_in_its_classes_colours() -> None:
    mask = np.array([[0, 1, 2], [255, 3, 0]], np.uint8)
    painted = colorize(mask, palette_of(CLASSES))
    black = (0, 0, 0)
    wanted = [[CLASSES[0].color, CLASSES[1].color, CLASSES[2].color], [black, black, CLASSES[0].color]]
    np.testing.assert_array_equal(painted, wanted)


def test_a_mask_that_is_a_strided_view_is_painted_right() -> None:
    mask = np.random.default_rng(0).integers(0, 4, (20, 30), np.uint8)[::2, ::3]
    palette = palette_of(CLASSES)
    np.testing.assert_array_equal(colorize(mask, palette), palette[mask])


def test_the_mask_is_blended_and_void_left_alone() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    out = draw_overlay(picture, CLASSES, mask, alpha=0.6)
    np.testing.assert_array_equal(out, [[[193, 40, 40], [40, 193, 40]], [[40, 40, 193], [100, 100, 100]]])


def test_the_id_after_the_last_class_is_void_too() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    out = draw_overlay(picture, CLASSES, np.full((2, 2), len(CLASSES), np.uint8))
    np.testing.assert_array_equal(out, picture)


@pytest.mark.parametrize("mask", [None, np.zeros((60, 80), np.uint8)])
def test_the_given_picture_is_never_changed(mask: np.ndarray | None) -> None:
    picture = np.full((60, 80, 3), 100, np.uint8)
    out = draw_overlay(picture, CLASSES, mask, [Detection((10, 10, 50, 50), 0.9, 2)], legend=True)
    assert (picture == 100).all()
    assert out.shape == picture.shape
    assert (out != 100).any()


def test_a_smaller_mask_is_fitted_to_the_picture() -> None:
    mask = np.array([[0, 2]], np.uint8)
    out = draw_overlay(np.zeros((4, 8, 3), np.uint8), CLASSES, mask, alpha=1.0)
    assert (out[:, :4] == CLASSES[0].color).all()
    assert (out[:, 4:] == CLASSES[2].color).all()


def test_a_box_is_outlined_in_its_classes_colour() -> None:
    out = draw_overlay(
        np.zeros((200, 200, 3), np.uint8), CLASSES, detections=[Detection((50, 80, 120, 160), 0.9, 2)]
    )
    for y, x in ((160, 80), (120, 50), (120, 120)):
        assert tuple(out[y, x]) == CLASSES[2].color
    assert (out[100:150, 60:110] == 0).all()


def test_a_name_does_not_cover_that_of_a_better_box() -> None:
    black = np.zeros((200, 300, 3), np.uint8)
    best, worse, apart = (
        Detection((50, 80, 120, 160), 0.9, 2),
        Detection((54, 82, 110, 150), 0.4, 1),
        Detection((50, 180, 120, 198), 0.3, 1),
    )
    alone = draw_overlay(black, CLASSES, detections=[best])
    above = np.s_[60:79, 48:140]  # of the box, where its name is
    assert alone[above].any()
    crowded = draw_overlay(black, CLASSES, detections=[best, worse, apart])
    np.testing.assert_array_equal(crowded[above], alone[above])
    assert tuple(crowded[120, 54]) == CLASSES[1].color  # the box itself is there
    assert crowded[165:178, 60:100].any()  # and names that cover nothing are too


@pytest.mark.parametrize("worse", [(10, 80, 60, 160), (220, 80, 260, 160), (110, 30, 160, 190)])
def test_a_name_that_covers_no_other_is_drawn(worse: tuple[float, float, float, float]) -> None:
    best, other = Detection((110, 80, 160, 160), 0.9, 2), Detection(worse, 0.4, 1)
    out = draw_overlay(np.zeros((200, 300, 3), np.uint8), CLASSES, detections=[best, other])
    for item in (best, other):
        right, above = round(item.box[0]) + 6, round(item.box[1]) - 9
        assert out[above : above + 6, right : right + 25].any()


def test_where_two_boxes_cross_the_better_one_is_on_top() -> None:
    best, worse = Detection((50, 80, 120, 160), 0.9, 2), Detection((20, 120, 180, 190), 0.4, 1)
    out = draw_overlay(np.zeros((200, 200, 3), np.uint8), CLASSES, detections=[best, worse])
    assert tuple(out[120, 110]) == CLASSES[1].color
    assert tuple(out[120, 120]) == CLASSES[2].color


def test_a_name_is_dark_on_a_light_colour_and_light_on_a_dark_one() -> None:
    green, blue = Detection((20, 80, 120, 160), 0.9, 1), Detection((220, 80, 320, 160), 0.9, 2)
    out = draw_overlay(np.zeros((200, 400, 3), np.uint8), CLASSES, detections=[green, blue])
    on_green, on_blue = out[70:78, 21:80], out[70:78, 221:270]
    assert on_green[..., 1].min() < 60
    assert on_green[..., 0].max() == 0
    assert on_blue[..., 0].max() > 195


def test_a_box_is_told_with_its_classes_name_and_two_decimals_of_its_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr("cv2.putText", lambda picture, text, *_: told.append(text))
    draw_overlay(np.zeros((99, 99, 3), np.uint8), CLASSES, detections=[Detection((9, 40, 60, 80), 0.876, 2)])
    assert told == ["blue 0.88"]


def test_the_name_of_a_box_at_the_top_edge_is_within_the_picture() -> None:
    box = Detection((10, 2, 120, 160), 0.9, 2)
    out = draw_overlay(np.zeros((200, 300, 3), np.uint8), CLASSES, detections=[box])
    assert out[6:9, 14:40].any(axis=2).all()


def test_the_name_of_a_box_at_the_right_edge_is_within_the_picture() -> None:
    box = Detection((270, 80, 298, 160), 0.9, 2)
    out = draw_overlay(np.zeros((200, 300, 3), np.uint8), CLASSES, detections=[box])
    assert out[65:79, 200:265].any()  # it begins to the left of its box


def test_boxes_at_and_beyond_the_edge_are_drawn_without_fail() -> None:
    boxes = [
        Detection((0, 0, 20, 20), 1.0, 0),
        Detection((15, 15, 20, 20), 0.1, 1),
        Detection((0, 0, 0, 0), 0.5, 2),
    ]
    assert draw_overlay(np.zeros((20, 20, 3), np.uint8), CLASSES, detections=boxes).any()


def test_the_legend_lists_only_what_is_there() -> None:
    mask = np.full((200, 300), 1, np.uint8)
    out = draw_overlay(np.zeros((200, 300, 3), np.uint8), CLASSES, mask, alpha=0.0, legend=True)
    colours = {tuple(color) for color in out.reshape(-1, 3).tolist()}
    assert CLASSES[1].color in colours
    assert CLASSES[0].color not in colours


def test_the_legend_lists_the_classes_of_mask_and_boxes_in_their_order() -> None:
    mask = np.full((200, 300), 1, np.uint8)
    boxes = [Detection((200, 100, 280, 180), 0.9, 2)]
    picture = np.zeros((200, 300, 3), np.uint8)
    corner = draw_overlay(picture, CLASSES, mask, boxes, alpha=0.0, legend=True)[:60, :60]
    rows = [
        np.flatnonzero((corner == CLASSES[class_id].color).all(axis=2).any(axis=1)) for class_id in (1, 2)
    ]
    assert len(rows[0]) == len(rows[1]) > 0
    assert rows[0].max() < rows[1].min()


def test_the_legend_covers_no_box_and_no_name() -> None:
    black = np.zeros((200, 300, 3), np.uint8)
    box = Detection((10, 30, 60, 80), 0.9, 2)
    alone = draw_overlay(black, CLASSES, detections=[box])
    with_legend = draw_overlay(black, CLASSES, detections=[box], legend=True)
    drawn = alone.any(axis=2)
    np.testing.assert_array_equal(with_legend[drawn], alone[drawn])
    assert (with_legend[:10] != alone[:10]).any()  # the legend is there


def test_a_legend_larger_than_the_picture_is_cut() -> None:
    mask = np.array([[0, 1, 2, 255]] * 4, np.uint8)
    assert draw_overlay(np.zeros((4, 4, 3), np.uint8), CLASSES, mask, legend=True).shape == (4, 4, 3)
