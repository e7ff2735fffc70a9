"""Average precision against hand-worked numbers and the runtime's implementation in numpy."""

import numpy as np
import pytest
import torch

from distill_perception.metrics import AveragePrecision
from training.errors import TrainingError
from training.evaluation.detection import BoxPrecision

NO_BOXES = np.zeros((0, 4))
NONE = np.zeros(0)


def precision_of(*images: tuple[np.ndarray, ...], class_ids: tuple[int, ...] = (8, 9)) -> np.ndarray:
    """Images as (boxes, scores, labels, true boxes, true labels)."""
    metric = BoxPrecision(class_ids)
    for boxes, scores, labels, true, true_labels in images:
        metric.update([(boxes, scores, labels)], [true], [true_labels])
    return metric.compute().numpy()


def box(*corners: float) -> np.ndarray:
    return np.array([corners], np.float32)


def test_a_detection_of_iou_0_8_counts_up_to_that_threshold() -> None:
    found = precision_of((box(0, 0, 10, 8), np.array([0.9]), np.array([8]), box(0, 0, 10, 10), np.array([8])))
    np.testing.assert_allclose(found[0], [1] * 7 + [0] * 3)  # 0.50, 0.55, ... 0.80
    assert np.isnan(found[1]).all()  # class 9 has no labelled box


def test_a_better_scored_false_alarm_halves_precision() -> None:
    boxes = np.vstack([box(50, 50, 59, 59), box(0, 0, 9, 9)])
    image = (boxes, np.array([0.9, 0.8]), np.array([8, 8]), box(0, 0, 9, 9), np.array([8]))
    np.testing.assert_allclose(precision_of(image)[0], 0.5)


def test_boxes_of_another_image_do_not_match() -> None:
    hit = (box(0, 0, 9, 9), np.array([0.5]), np.array([8]))
    image, other = (NO_BOXES, NONE, NONE, box(0, 0, 9, 9), np.array([8])), (*hit, NO_BOXES, NONE)
    np.testing.assert_allclose(precision_of(image, other)[0], 0.0)


def test_labels_of_which_nothing_was_found_score_zero() -> None:
    image = (NO_BOXES, NONE, NONE, box(0, 0, 9, 9), np.array([9]))
    found = precision_of(image)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], 0.0)


def test_nothing_labelled_gives_nan() -> None:
    assert np.isnan(precision_of((box(0, 0, 9, 9), np.array([0.5]), np.array([8]), NO_BOXES, NONE))).all()


def test_what_is_found_in_an_ignored_region_is_no_false_alarm_of_its_class() -> None:
    found = np.vstack([box(50, 50, 59, 59), box(0, 0, 9, 9)])
    image = [(found, np.array([0.9, 0.8]), np.array([8, 8]))], [box(0, 0, 9, 9)], [np.array([8])]
    for region_class, expected in ((8, 1.0), (9, 0.5)):
        metric = BoxPrecision((8, 9))
        metric.update(*image, [(box(40, 40, 80, 80), np.array([region_class]))])
        precision = metric.compute().numpy()
        np.testing.assert_allclose(precision[0], expected)
        assert np.isnan(precision[1]).all()  # a region is no labelled box


@pytest.mark.parametrize("seed", range(3))
def test_random_images_score_as_the_runtime_scores_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    class_ids = (0, 3, 7)  # 0 is a class like any other
    metric, reference = BoxPrecision(class_ids), AveragePrecision(class_ids)
    for _ in range(12):
        count = int(rng.integers(0, 7))
        corners = rng.integers(0, 200, (count, 2))
        true = np.hstack([corners, corners + rng.integers(4, 90, (count, 2))]).astype(np.float64)
        true_labels = rng.choice(class_ids[:2] if seed == 2 else class_ids, count)
        found = np.repeat(true, 2, axis=0) + rng.normal(0, 4, (2 * count, 4))
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        labels = np.where(rng.random(2 * count) < 0.9, np.repeat(true_labels, 2), 7)
        scores = rng.permutation(2 * count) / 20
        true_tensors = [torch.from_numpy(true)], [torch.from_numpy(true_labels)]
        corners = rng.integers(0, 200, (2, 2))
        regions = np.hstack([corners, corners + 60]), rng.choice(class_ids, 2)
        metric.update([(found, scores, labels)], *true_tensors, [regions])
        reference.update(found, scores, labels, true, true_labels, *regions)
    expected = reference.compute()
    table = metric.compute()
    assert table.nanmean().item() == pytest.approx(expected.map, abs=1e-9)
    assert table[:, 0].nanmean().item() == pytest.approx(expected.map50, abs=1e-9)
    by_class = {class_ids[row]: float(table[row].mean()) for row in range(3) if not table[row, 0].isnan()}
    assert by_class == pytest.approx(expected.by_class, abs=1e-9)


@pytest.mark.parametrize(
    ("corners", "scores", "label", "message"),
    [
        (box(0, 0, 1, 1), [0.5], [4], "class id 4, but the classes with boxes are 8, 9"),
        (box(0, 0, 1, np.nan), [0.5], [8], "NaN"),
        (box(0, 0, 1, 1), [0.5, 0.4], [8], "differ in number"),
    ],
)
def test_boxes_that_cannot_be_scored_are_refused(
    corners: np.ndarray, scores: list[float], label: list[int], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        BoxPrecision([8, 9]).update([(corners, scores, label)], [NO_BOXES], [NONE])


def test_a_process_without_images_still_has_tables_to_gather() -> None:
    metric = BoxPrecision([8, 9])
    metric.update([], [], [])
    tables = [torch.cat(part).shape for part in (metric.found, metric.true, metric.found_counts)]
    assert tables == [(0, 6), (0, 6), (0,)]
    assert metric.compute().isnan().all()
