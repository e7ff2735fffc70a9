from typing import Any

import numpy as np
import pytest

from distill_perception.metrics import AveragePrecision, ConfusionMatrix

Array = np.ndarray[Any, Any]


def test_iou_of_a_picture_worked_by_hand() -> None:
    label = np.array([[0, 0, 1], [1, 1, 255]], np.uint8)
    mask = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    scores = ConfusionMatrix(4)
    scores.update(label, mask)
    # class 0: 1 hit of 3 in the union; class 1: 2 of 4; class 2 is perceived on void only, 3 never: left out
    np.testing.assert_allclose(scores.iou(), [1 / 3, 1 / 2, np.nan, np.nan])
    assert scores.miou() == pytest.approx(5 / 12)
    assert scores.pixel_accuracy() == pytest.approx(3 / 5)


def test_a_class_labelled_but_never_perceived_counts_as_zero() -> None:
    scores = ConfusionMatrix(2)
    scores.update(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    np.testing.assert_allclose(scores.iou(), [0.5, 0.0])


def test_the_mean_is_over_the_whole_set_not_over_pictures() -> None:
    scores = ConfusionMatrix(1)
    scores.update(np.zeros((1, 9), np.uint8), np.zeros((1, 9), np.uint8))
    assert scores.miou() == 1.0
    both = ConfusionMatrix(2)
    both.update(np.array([[0, 0, 0, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8))
    both.update(np.array([[1, 1, 1, 1]], np.uint8), np.array([[0, 0, 0, 0]], np.uint8))
    np.testing.assert_allclose(both.iou(), [3 / 7, 1 / 5])


def test_nothing_labelled_gives_nan() -> None:
    scores = ConfusionMatrix(3)
    scores.update(np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(scores.miou())
    assert np.isnan(scores.pixel_accuracy())


def test_a_perceived_id_that_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="mask holds id 7, but there are 3 classes"):
        ConfusionMatrix(3).update(np.zeros((2, 2), np.uint8), np.full((2, 2), 7, np.uint8))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"label \[2, 2\] and mask \[2, 3\]"):
        ConfusionMatrix(3).update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize("seed", range(3))
def test_masks_score_as_torchmetrics_scores_them(seed: int) -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(seed)
    classes, void = 11, 11
    ours = ConfusionMatrix(classes)
    jaccard = classification.MulticlassJaccardIndex(classes, ignore_index=void, average="none")
    confusion = classification.MulticlassConfusionMatrix(classes, ignore_index=void)
    for _ in range(4):
        label = rng.integers(0, classes + 1, (60, 80), np.uint8)
        mask = np.where(rng.random((60, 80)) < 0.6, label, rng.integers(0, classes, (60, 80))).astype(
            np.uint8
        )
        mask[mask == void] = 0
        ours.update(label, mask)
        jaccard.update(torch.from_numpy(mask).long(), torch.from_numpy(label).long())
        confusion.update(torch.from_numpy(mask).long(), torch.from_numpy(label).long())
    np.testing.assert_array_equal(ours.matrix, confusion.compute().numpy())
    np.testing.assert_allclose(ours.iou(), jaccard.compute().numpy(), rtol=1e-6)


def box(*corners: float) -> Array:
    return np.array([corners], np.float64)


NO_BOXES = np.zeros((0, 4))
NONE = np.zeros(0)


def test_one_perfect_detection_scores_one() -> None:
    scores = AveragePrecision([0])
    scores.update(box(0, 0, 10, 10), np.array([0.9]), np.array([0]), box(0, 0, 10, 10), np.array([0]))
    found = scores.compute()
    assert (found.map, found.map50, found.by_class) == (
        pytest.approx(1),
        pytest.approx(1),
        {0: pytest.approx(1)},
    )


def test_a_detection_of_iou_0_8_counts_up_to_that_threshold() -> None:
    scores = AveragePrecision([0])
    scores.update(box(0, 0, 10, 8), np.array([0.9]), np.array([0]), box(0, 0, 10, 10), np.array([0]))
    found = scores.compute()
    assert found.map50 == pytest.approx(1)
    assert found.map == pytest.approx(7 / 10)  # 0.50, 0.55, ... 0.80


def test_half_of_the_labels_found_scores_51_of_101_points() -> None:
    scores = AveragePrecision([0])
    true = np.vstack([box(0, 0, 9, 9), box(20, 20, 29, 29)])
    scores.update(box(0, 0, 9, 9), np.array([0.9]), np.array([0]), true, np.array([0, 0]))
    assert scores.compute().map == pytest.approx(51 / 101)


def test_a_better_scored_false_alarm_halves_precision() -> None:
    scores = AveragePrecision([0])
    found = np.vstack([box(50, 50, 59, 59), box(0, 0, 9, 9)])
    scores.update(found, np.array([0.9, 0.8]), np.array([0, 0]), box(0, 0, 9, 9), np.array([0]))
    assert scores.compute().map50 == pytest.approx(0.5)


def test_classes_without_labels_are_left_out_and_missed_ones_are_zero() -> None:
    scores = AveragePrecision([0, 1, 2])
    scores.update(box(0, 0, 9, 9), np.array([0.9]), np.array([2]), box(0, 0, 9, 9), np.array([1]))
    assert scores.compute().by_class == {1: 0.0}


def test_nothing_labelled_gives_nan_boxes() -> None:
    scores = AveragePrecision([0])
    scores.update(NO_BOXES, NONE, NONE.astype(int), NO_BOXES, NONE.astype(int))
    assert np.isnan(scores.compute().map)
    assert scores.compute().by_class == {}


def random_drive(rng: np.random.Generator, pictures: int, crowded: bool) -> list[tuple[Array, ...]]:
    """Pictures of (boxes, scores, labels, true boxes, true labels): near hits, misses and false alarms."""
    drive = []
    for _ in range(pictures):
        count = int(rng.integers(0, 8))
        corners = rng.integers(0, 200, (count, 2))
        true = np.hstack([corners, corners + rng.integers(4, 90, (count, 2))]).astype(np.float64)
        true_labels = rng.integers(0, 3, count)
        near = np.repeat(true, 30 if crowded else 2, axis=0)
        near = near + rng.normal(0, 4, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        labels = np.repeat(true_labels, 30 if crowded else 2)
        alarms = rng.integers(0, 200, (3, 2))
        found = np.vstack([near, np.hstack([alarms, alarms + 20])])
        labels = np.concatenate([labels, rng.integers(0, 3, 3)])
        # Coarse scores, so that there are ties between and within pictures.
        drive.append((found, rng.integers(1, 20, len(found)) / 20, labels, true, true_labels))
    return drive


@pytest.mark.parametrize(("seed", "crowded"), [(0, False), (1, False), (2, False), (3, True)])
def test_boxes_score_as_the_coco_evaluation_scores_them(seed: int, crowded: bool) -> None:
    coco_eval = pytest.importorskip("faster_coco_eval")
    drive = random_drive(np.random.default_rng(seed), 30, crowded)
    ours = AveragePrecision([0, 1, 2])
    labels, results = [], []
    for picture, (boxes, scores, found_labels, true, true_labels) in enumerate(drive, 1):
        ours.update(boxes, scores, found_labels, true, true_labels)
        for corners, label in zip(true, true_labels, strict=True):
            labels.append({**coco_box(corners), "image_id": picture, "category_id": int(label) + 1})
            labels[-1] |= {
                "id": len(labels),
                "iscrowd": 0,
                "area": labels[-1]["bbox"][2] * labels[-1]["bbox"][3],
            }
        for corners, score, label in zip(boxes, scores, found_labels, strict=True):
            row = {
                **coco_box(corners),
                "image_id": picture,
                "category_id": int(label) + 1,
                "score": float(score),
            }
            results.append(row)
    truth = {
        "images": [{"id": number, "width": 400, "height": 400} for number in range(1, len(drive) + 1)],
        "categories": [{"id": number, "name": str(number)} for number in (1, 2, 3)],
        "annotations": labels,
    }
    truth_coco = coco_eval.COCO(truth)
    evaluation = coco_eval.COCOeval_faster(truth_coco, truth_coco.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    found = ours.compute()
    assert found.map == pytest.approx(evaluation.stats[0], abs=1e-6)
    assert found.map50 == pytest.approx(evaluation.stats[1], abs=1e-6)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes; all areas, 100
    np.testing.assert_allclose(list(found.by_class.values()), precision.mean(axis=(0, 1)), atol=1e-6)


def coco_box(corners: Array) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(value) for value in corners)
    return {"bbox": [x1, y1, x2 - x1, y2 - y1]}


def test_a_miss_of_which_just_the_threshold_lies_within_a_crowd_counts_for_nothing() -> None:
    """Half of the best detection is in the crowd: no miss at IoU 0.5, one at each higher threshold."""
    boxes, scores = np.array([[5.0, 0, 15, 10], [40, 40, 60, 60]]), np.array([0.9, 0.8])
    labels = np.zeros(2, int)
    found = AveragePrecision([0])
    found.update(boxes, scores, labels, boxes[1:], labels[1:], np.array([[0.0, 0, 10, 10]]), np.zeros(1, int))
    result = found.compute()
    assert result.map50 == pytest.approx(1.0)
    assert result.map == pytest.approx((1.0 + 9 * 0.5) / 10)
