"""Boundary F-score against numbers worked by hand and a slow implementation of its definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.boundary import BoundaryF, boundary_f

VOID = 9
Mask = np.ndarray


def halves(column: int, width: int = 12, height: int = 4) -> Mask:
    """Class 0 left of `column`, class 1 from there on."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, column:] = 1
    return mask


def share_for(distance: float, mask: Mask) -> float:
    return distance / math.hypot(*mask.shape)


def slow_scores(prediction: Mask, label: Mask, classes: int, tolerance: float) -> list[float]:
    """The definition pixel by pixel: contours as lists of points, every distance between them."""
    height, width = label.shape
    limit = tolerance * math.sqrt(height**2 + width**2)
    everywhere = [(y, x) for y in range(height) for x in range(width)]

    def contour(mask: Mask, index: int, ignore: int | None) -> list[tuple[int, int]]:
        points = []
        for y, x in everywhere:
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [mask[p] for p in around if 0 <= p[0] < height and 0 <= p[1] < width]
            if mask[y, x] == index and any(value not in (index, ignore) for value in inside):
                points.append((y, x))
        return points

    def close(point: tuple[int, int], others: list[tuple[int, int]]) -> bool:
        return any(math.dist(point, other) <= limit for other in others)

    void = [point for point in everywhere if label[point] == VOID]
    scores = []
    for index in range(classes):
        true, found = contour(label, index, VOID), contour(prediction, index, None)
        counted = [point for point in found if not close(point, void)]
        if not true and not counted:
            scores.append(math.nan)
            continue
        precision = sum(close(p, true) for p in counted) / len(counted) if counted else 1.0
        recall = sum(close(p, found) for p in true) / len(true) if true else 1.0
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return scores


def test_the_same_mask_scores_one_and_absent_classes_nothing() -> None:
    mask = halves(6)
    np.testing.assert_array_equal(boundary_f(mask, mask, 3, VOID), [1.0, 1.0, np.nan])


@pytest.mark.parametrize(("shift", "score"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_a_contour_counts_up_to_the_tolerance(shift: int, score: float) -> None:
    label = halves(6)
    found = boundary_f(halves(6 + shift), label, 2, VOID, share_for(2, label))
    np.testing.assert_array_equal(found, [score, score])


def test_the_default_tolerance_is_0_75_percent_of_the_diagonal() -> None:
    label = halves(240, 480, 360)  # diagonal 600: 4.5 pixels
    assert boundary_f(halves(244, 480, 360), label, 2, VOID).tolist() == [1.0, 1.0]
    assert boundary_f(halves(245, 480, 360), label, 2, VOID).tolist() == [0.0, 0.0]


def test_a_false_contour_costs_precision_as_worked_by_hand() -> None:
    # Label: an edge between columns 5 and 6. Prediction: the same, and a further edge between 9 and 10 (back
    # to class 0). Class 0: found contour 4 + 4 pixels, of which 4 hit: P 1/2, R 1, F 2/3. Class 1 the same.
    label, prediction = halves(6), halves(6)
    prediction[:, 10:] = 0
    np.testing.assert_allclose(boundary_f(prediction, label, 2, VOID, share_for(1, label)), [2 / 3, 2 / 3])


def test_a_class_that_is_only_perceived_or_only_labelled_scores_zero() -> None:
    empty, half = np.zeros((4, 12), np.uint8), halves(6)
    np.testing.assert_array_equal(boundary_f(half, empty, 2, VOID), [0.0, 0.0])
    np.testing.assert_array_equal(boundary_f(empty, half, 2, VOID), [0.0, 0.0])


def test_the_edge_of_void_is_no_contour() -> None:
    label = np.zeros((4, 12), np.uint8)
    label[:, 6:] = VOID
    assert np.isnan(boundary_f(np.zeros((4, 12), np.uint8), label, 2, VOID)).all()


def test_a_contour_found_in_or_beside_void_is_not_held_against_the_prediction() -> None:
    label = halves(6)
    label[:, 5:8] = VOID  # the true edge was not labelled
    near_void, far_off = halves(8), halves(11)
    assert np.isnan(boundary_f(near_void, label, 2, VOID, share_for(1, label))).all()
    np.testing.assert_array_equal(boundary_f(far_off, label, 2, VOID, share_for(1, label)), [0.0, 0.0])


def test_a_contour_found_in_void_answers_to_one_labelled_beside_it() -> None:
    label = np.zeros((1, 14), np.uint8)
    label[:, 4:6], label[:, 6:] = 1, VOID
    prediction = np.zeros((1, 14), np.uint8)
    prediction[:, 6:] = (
        1  # both sides of its edge lie within the distance of the labelled edge; one is in void
    )
    np.testing.assert_array_equal(boundary_f(prediction, label, 2, VOID, share_for(2, label)), [1.0, 1.0])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), distance=st.sampled_from([1.0, 1.5, 2.0, 3.2]))
def test_random_masks_score_as_the_definition_says(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, (3, 4)).astype(np.uint8).repeat(3, 0).repeat(3, 1)
    label[label == 3] = VOID if seed % 2 else 2
    prediction = np.where(rng.random(label.shape) < 0.9, label, rng.integers(0, 3, label.shape)).astype(
        np.uint8
    )
    prediction[prediction == VOID] = 1
    tolerance = share_for(distance, label)
    expected = slow_scores(prediction, label, 3, tolerance)
    np.testing.assert_allclose(boundary_f(prediction, label, 3, VOID, tolerance), expected, atol=1e-12)


def test_a_class_is_averaged_over_the_images_that_have_it() -> None:
    label = halves(6)
    nothing = np.zeros_like(label)
    metric = BoundaryF(3, VOID)
    metric.update(torch.from_numpy(np.stack([label, label])), torch.from_numpy(np.stack([label, nothing])))
    metric.update(torch.from_numpy(nothing[None]), torch.from_numpy(nothing[None]))
    # Two of three images have a contour of class 0 and 1: 1.0 and 0.0.
    np.testing.assert_array_equal(metric.compute().numpy(), [0.5, 0.5, np.nan])
