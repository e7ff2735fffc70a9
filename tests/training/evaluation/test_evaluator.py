"""The evaluator: what it answers, whatever way it is fed."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from distill_perception.bundle import ClassInfo
from training.errors import TrainingError
from training.evaluation.evaluator import Evaluator

VOID = 3
CLASSES = (
    ClassInfo(id=0, name="sky", color=(0, 0, 0), kind="stuff"),
    ClassInfo(id=1, name="road", color=(1, 1, 1), kind="stuff"),
    ClassInfo(id=2, name="car", color=(2, 2, 2), kind="thing"),
)
BOTH = ("segmentation", "detection")


def frames(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Student's and teacher's logits [N,3,8,12] and a mask [N,16,24] with void."""
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(count, 3, 8, 12, generator=generator) * 3
    teacher = student + torch.randn(student.shape, generator=generator)
    return student, teacher, torch.randint(0, 4, (count, 16, 24), generator=generator)


def boxes(count: int) -> tuple[list[object], list[object], list[object]]:
    corner = torch.tensor([[1.0, 1.0, 9.0, 9.0]])
    found = [(corner + index, torch.tensor([0.9 - index / 10]), torch.tensor([2])) for index in range(count)]
    return found, [corner] * count, [torch.tensor([2])] * count


def full(count: int = 4) -> Evaluator:
    evaluator = Evaluator(CLASSES, VOID, BOTH, teacher=True)
    student, teacher, target = frames(count)
    evaluator.update_masks(student, target, teacher=teacher)
    evaluator.update_boxes(*boxes(count))
    return evaluator


def test_iou_equals_torchmetrics_on_logits_brought_to_the_labels_size() -> None:
    student, _, target = frames(4)
    scores = full().compute()
    large = torch.nn.functional.interpolate(student, size=(16, 24), mode="bilinear", align_corners=False)
    expected = MulticlassJaccardIndex(3, average=None, ignore_index=VOID)(large, target)
    found = [scores[f"iou/{item.name}"] for item in CLASSES]
    assert found == pytest.approx(expected.tolist(), rel=1e-6)
    assert scores["miou"] == pytest.approx(expected.mean().item(), rel=1e-6)


def test_every_score_has_its_key_and_a_source_goes_behind_the_first_word() -> None:
    heads = {"miou", "boundary_f", "ece", "agreement", "teacher_kl", "map50", "map", "ap/car"}
    heads |= {f"{head}/{item.name}" for head in ("iou", "bf") for item in CLASSES}
    scores = full().compute()
    assert scores.keys() == heads
    assert all(isinstance(value, float) and math.isfinite(value) for value in scores.values())
    named = full().compute("camvid")
    assert {"miou/camvid", "iou/camvid/sky", "ap/camvid/car", "map50/camvid"} <= named.keys()
    assert list(named.values()) == list(scores.values())


def test_tasks_choose_the_keys_and_what_was_not_fed_is_nan() -> None:
    boxes_only = Evaluator(CLASSES, VOID, ("detection",)).compute()
    assert boxes_only.keys() == {"map50", "map", "ap/car"}
    assert all(math.isnan(value) for value in boxes_only.values())
    masks_only = Evaluator(CLASSES, VOID).compute()
    assert "map" not in masks_only
    assert math.isnan(masks_only["miou"])


def test_a_set_of_one_class_is_scored() -> None:
    evaluator = Evaluator(CLASSES[:1], VOID)
    target = torch.zeros(1, 8, 12, dtype=torch.long)
    target[:, :4] = VOID
    evaluator.update_masks(torch.zeros(1, 1, 8, 12), target)
    scores = evaluator.compute()
    assert (scores["miou"], scores["iou/sky"]) == (1.0, 1.0)


def test_numpy_and_torch_score_alike() -> None:
    student, teacher, target = frames(3)
    first, second = (Evaluator(CLASSES, VOID, teacher=True) for _ in range(2))
    first.update_masks(student, target, teacher=teacher)
    second.update_masks(student.numpy(), target.numpy().astype(np.uint8), teacher=teacher.numpy())
    assert second.compute() == first.compute()


def test_batches_score_as_one() -> None:
    expected = full(5).compute()
    student, teacher, target = frames(5)
    found, true, labels = boxes(5)
    evaluator = Evaluator(CLASSES, VOID, BOTH, teacher=True)
    for part in (slice(0, 2), slice(2, 5)):
        evaluator.update_masks(student[part], target[part], teacher=teacher[part])
        evaluator.update_boxes(found[part], true[part], labels[part])
    assert evaluator.compute() == pytest.approx(expected, rel=1e-9)


def test_borders_of_frames_without_a_mask_count_for_nothing() -> None:
    student, teacher, target = frames(2)
    inside = torch.zeros(2, *target.shape[1:], dtype=torch.bool)
    inside[1, :, :8] = True
    found, cut = (Evaluator(CLASSES, VOID, teacher=True) for _ in range(2))
    found.update_masks(student, target, has_mask=[True, False], teacher=teacher, inside=inside)
    outside = torch.as_tensor(target).clone()
    upsampled = [
        torch.nn.functional.interpolate(x, size=(16, 24), mode="bilinear") for x in (student, teacher)
    ]
    outside[1, :, 8:], outside[1, :, :8] = VOID, 0  # any class: what counts is whether it is void
    cut.update_masks(upsampled[0], outside, teacher=upsampled[1])
    for key in ("agreement", "teacher_kl"):
        assert found.compute()[key] == pytest.approx(cut.compute()[key], rel=1e-6)


def test_frames_without_a_mask_count_for_the_teacher_only() -> None:
    student, teacher, target = frames(2)
    evaluator, first = (Evaluator(CLASSES, VOID, teacher=True) for _ in range(2))
    evaluator.update_masks(student, target, has_mask=[True, False], teacher=teacher)
    first.update_masks(student[:1], target[:1], teacher=teacher[:1])
    mixed, alone = evaluator.compute(), first.compute()
    for key in ("miou", "boundary_f", "ece", "iou/car"):
        assert mixed[key] == pytest.approx(alone[key], rel=1e-9)
    upsampled = [
        torch.nn.functional.interpolate(x, size=(16, 24), mode="bilinear").argmax(1)
        for x in (student, teacher)
    ]
    counted = target != VOID
    counted[1] = True
    same = (upsampled[0] == upsampled[1])[counted].float().mean().item()
    assert mixed["agreement"] == pytest.approx(same, rel=1e-6)


def test_images_with_unknown_boxes_are_left_out() -> None:
    found, true, labels = boxes(2)
    found[1], true[1] = (torch.zeros(0, 4), [], []), torch.tensor([[50.0, 50.0, 60.0, 60.0]])
    evaluator = Evaluator(CLASSES, VOID, ("detection",))
    evaluator.update_boxes(found, true, labels, has_boxes=[True, False])
    assert evaluator.compute()["map"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        (torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), 7), "holds class id 7, but the classes are 0 to 2"),
        (torch.full((1, 3, 2, 2), torch.nan), torch.zeros(1, 2, 2), "NaN"),
        (torch.zeros(3, 2, 2), torch.zeros(1, 2, 2), r"\[N,C,h,w\], found \[3, 2, 2\]"),
        (torch.zeros(1, 4, 2, 2), torch.zeros(1, 2, 2), "the class set has 3 classes"),
        (torch.zeros(2, 3, 2, 2), torch.zeros(1, 2, 2), "the masks are 1 frames"),
        (torch.zeros(1, 3, 2, 2), torch.zeros(2, 2), r"\[N,H,W\], found \[2, 2\]"),
    ],
)
def test_what_cannot_be_scored_is_refused(scores: torch.Tensor, target: torch.Tensor, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Evaluator(CLASSES, VOID).update_masks(scores, target)


def test_wrong_set_ups_are_refused() -> None:
    with pytest.raises(TrainingError, match="unknown task 'depth'"):
        Evaluator(CLASSES, VOID, ("depth",))
    with pytest.raises(TrainingError, match="kind 'thing'"):
        Evaluator(CLASSES[:2], VOID, BOTH)
    with pytest.raises(TrainingError, match="no teacher's scores"):
        Evaluator(CLASSES, VOID, teacher=True).update_masks(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2))
    with pytest.raises(TrainingError, match="without the task 'detection'"):
        Evaluator(CLASSES, VOID).update_boxes([], [], [])
