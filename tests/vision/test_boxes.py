import numpy as np

from distill_perception.vision.boxes import Detection, decode, iou_matrix
from distill_perception.vision.geometry import Letterbox

SAME = Letterbox.fit((100, 100), (100, 100))


def decode_rows(rows: list[tuple[list[float], float, int]], threshold: float = 0.3) -> tuple[Detection, ...]:
    boxes = np.array([row[0] for row in rows], np.float32)
    scores = np.array([row[1] for row in rows], np.float32)
    return decode(boxes, scores, np.array([row[2] for row in rows]), SAME, threshold, 3)


def test_detections_come_best_first_and_above_the_threshold() -> None:
    rows = [([0, 0, 1, 1], 0.5, 0), ([0, 0, 2, 2], 0.25, 0), ([0, 0, 3, 3], 0.75, 2)]
    assert decode_rows(rows) == (Detection((0, 0, 3, 3), 0.75, 2), Detection((0, 0, 1, 1), 0.5, 0))


def test_a_score_equal_to_the_threshold_is_kept() -> None:
    assert len(decode_rows([([0, 0, 1, 1], 0.5, 0)], 0.5)) == 1


def test_padding_nonsense_and_what_lies_outside_is_left_out() -> None:
    nan, inf = float("nan"), float("inf")
    rows = [
        ([0, 0, 9, 9], 0.9, -1),
        ([0, 0, 9, 9], 0.9, 3),
        ([0, 0, 9, 9], nan, 0),
        ([0, nan, 9, 9], 0.9, 0),
        ([0, 0, inf, 9], 0.9, 0),
        ([5, 5, 5, 9], 0.9, 0),
        ([5, 5, 9, 5], 0.9, 0),
        ([9, 9, 1, 1], 0.9, 0),
        ([200, 200, 300, 300], 0.9, 0),
    ]
    assert decode_rows(rows) == ()


def test_what_is_left_out_takes_neither_score_nor_class_from_what_is_kept() -> None:
    nan = float("nan")
    rows = [
        ([200, 200, 300, 300], 0.9, 0),
        ([0, 0, 1, 1], 0.5, 1),
        ([nan, 0, 9, 9], 0.8, 0),
        ([0, 0, 2, 2], 0.75, 2),
    ]
    assert decode_rows(rows) == (Detection((0, 0, 2, 2), 0.75, 2), Detection((0, 0, 1, 1), 0.5, 1))


def test_detections_of_equal_score_keep_the_graphs_order() -> None:
    rows = [([0, 0, index + 1, 1], (0.5, 0.75)[index % 2], 0) for index in range(60)]
    widths = [item.box[2] for item in decode_rows(rows)]
    assert widths == [*range(2, 61, 2), *range(1, 61, 2)]


def test_values_are_plain_python_numbers() -> None:
    found = decode_rows([([0, 0, 9, 9], 0.5, 1)])[0]
    assert type(found.box[0]) is float
    assert type(found.score) is float
    assert type(found.label) is int


def test_iou_by_hand() -> None:
    first = np.array([[0, 0, 2, 2], [0, 0, 0, 0]], np.float32)
    second = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [3, 3, 5, 5], [0, 0, 0, 0]], np.float32)
    np.testing.assert_allclose(iou_matrix(first, second), [[1, 1 / 7, 0, 0, 0], [0, 0, 0, 0, 0]])


def test_iou_of_nothing_is_empty() -> None:
    assert iou_matrix(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
