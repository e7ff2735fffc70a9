"""Detection losses against the papers' formulas, written out, and numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from training.models.detection.loss import box_loss, detection_losses, focal_loss, giou_loss
from training.models.detection.targets import detection_targets
from training.models.outputs import DetectionMaps

THINGS = torch.tensor([0, 1])


def centernet_equation_1(logits: Tensor, target: Tensor) -> float:
    """The sum over cells as the paper writes it, alpha 2, beta 4."""
    total, centres = 0.0, 0
    for logit, y in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        if y == 1:
            total += (1 - p) ** 2 * math.log(p)
            centres += 1
        else:
            total += (1 - y) ** 4 * p**2 * math.log(1 - p)
    return -total / max(1, centres)


def test_focal_loss_is_the_papers_sum() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 5) * 2, torch.rand(2, 3, 4, 5)
    target[0, 1, 2, 3] = target[1, 0, 0, 0] = 1.0
    found = focal_loss(logits, target).item()
    assert found == pytest.approx(centernet_equation_1(logits, target), rel=1e-5)


def test_focal_loss_of_one_undecided_centre_worked_by_hand() -> None:
    # p = 1/2 everywhere: centre 0.25*ln 2, empty cell 0.25*ln 2, cell with y = 0.5 gives 0.5^4*0.25*ln 2.
    loss = focal_loss(torch.zeros(1, 1, 1, 3), torch.tensor([[[[1.0, 0.0, 0.5]]]]))
    assert loss.item() == pytest.approx(0.25 * math.log(2) * (1 + 1 + 0.0625))


def test_absence_is_not_learnt_in_an_ignored_region_but_objects_and_other_classes_are() -> None:
    box, nothing = torch.tensor([[12.0, 12.0, 20.0, 20.0]]), torch.zeros(0, 4)
    for boxes, labels in ((nothing, []), (box, [8])):
        logits = torch.zeros(1, 2, 10, 12, requires_grad=True)
        targets = detection_targets(
            [boxes],
            [torch.tensor(labels).long()],
            torch.tensor([True]),
            torch.tensor([8, 10]),
            (10, 12),
            4,
            [torch.tensor([[8.0, 8.0, 28.0, 24.0]])],
            [torch.tensor([8])],
        )
        focal_loss(logits, targets.heatmap, targets.ignored).backward()
        assert logits.grad is not None
        learnt = logits.grad[0] != 0
        inside = torch.zeros(10, 12, dtype=torch.bool)
        inside[2:6, 2:7] = True
        centre = targets.heatmap[0, 0] == 1
        assert torch.equal(learnt[0], ~inside | centre)
        assert learnt[1].all()


def test_focal_loss_stays_finite_for_extreme_logits() -> None:
    logits = torch.tensor([[[[-200.0, 200.0]]]], requires_grad=True)
    focal_loss(logits, torch.tensor([[[[1.0, 0.0]]]])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    # Both are as wrong as can be: the gradient pulls the centre up and the empty cell down.
    assert logits.grad.flatten().sign().tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("size", "target", "loss"),
    [
        ([1.0, 1, 1, 1], [1.0, 1, 1, 1], 0.0),  # the same box
        ([1.0, 1, 1, 1], [1.0, 1, 3, 1], 0.5),  # half of the other: IoU 4/8, hull is the union
        ([1.0, 1, 1, 1], [0.0, 0, 2, 2], 1 - 1 / 7 + 2 / 9),  # 2x2 boxes shifted by (1,1): hull 9, union 7
        ([1.0, 1, 1, 1], [-2.0, 1, 3, 1], 1 + 2 / 8),  # apart by 1: 2x2 and 1x2, union 6, hull 4x2
    ],
)
def test_giou_loss_worked_by_hand(size: list[float], target: list[float], loss: float) -> None:
    assert giou_loss(torch.tensor(size), torch.tensor(target)).item() == pytest.approx(loss, abs=1e-6)


def test_giou_gradient_is_right() -> None:
    size = torch.tensor([[1.0, 2.0], [1.5, 0.5], [2.0, 1.0], [0.7, 3.0]], dtype=torch.float32)
    target = torch.tensor([[2.0, -0.5], [1.0, 1.0], [1.0, 2.0], [1.0, 1.0]])
    size.requires_grad_()
    giou_loss(size, target).sum().backward()
    step = 1e-2
    for index in range(4):
        for column in range(2):
            moved = [size.detach().clone() for _ in range(2)]
            moved[0][index, column] += step
            moved[1][index, column] -= step
            slope = (giou_loss(moved[0], target) - giou_loss(moved[1], target)).sum() / (2 * step)
            assert size.grad is not None
            assert size.grad[index, column].item() == pytest.approx(slope.item(), abs=2e-3)


def test_box_loss_is_the_weighted_mean_over_cells() -> None:
    size = torch.ones(1, 4, 1, 3)
    target = torch.tensor([[1.0, 1, 1, 1], [1.0, 1, 3, 1], [9.0, 9, 9, 9]]).T.view(1, 4, 1, 3)
    weight = torch.tensor([[[3.0, 1.0, 0.0]]])
    assert box_loss(size, target, weight).item() == pytest.approx((3 * 0 + 1 * 0.5) / 4)


def maps(frames: int) -> DetectionMaps:
    torch.manual_seed(0)
    heatmap = torch.randn(frames, 2, 6, 8, requires_grad=True)
    size = (torch.rand(frames, 4, 6, 8) + 0.5).requires_grad_()
    return DetectionMaps(heatmap, size, 4)


def test_frames_with_unknown_boxes_neither_count_nor_learn() -> None:
    box, none = torch.tensor([[4.0, 4.0, 20.0, 16.0]]), torch.zeros(0, 4)
    two = maps(2)
    labels, known = [torch.tensor([1]), torch.tensor([]).long()], torch.tensor([True, False])
    targets = detection_targets([box, none], labels, known, THINGS, (6, 8), 4)
    losses = detection_losses(two, targets)
    one = DetectionMaps(two.heatmap[:1].detach(), two.size[:1].detach(), 4)
    alone = detection_losses(
        one, detection_targets([box], [torch.tensor([1])], torch.tensor([True]), THINGS, (6, 8), 4)
    )
    assert losses["heatmap"].item() == pytest.approx(alone["heatmap"].item())
    assert losses["box"].item() == pytest.approx(alone["box"].item())
    sum(losses.values()).backward()
    assert two.heatmap.grad is not None
    assert not two.heatmap.grad[1].any()
    assert two.heatmap.grad[0].any()


def test_a_known_empty_frame_pushes_the_heatmap_down_and_leaves_sizes_alone() -> None:
    one = maps(1)
    targets = detection_targets(
        [torch.zeros(0, 4)], [torch.tensor([]).long()], torch.tensor([True]), THINGS, (6, 8), 4
    )
    losses = detection_losses(one, targets)
    sum(losses.values()).backward()
    assert losses["heatmap"] > 0
    assert losses["box"] == 0
    assert (one.heatmap.grad >= 0).all()
    assert not one.size.grad.any()


def test_a_batch_of_unknown_frames_gives_zero_losses_that_can_be_back_propagated() -> None:
    two = maps(2)
    boxes, labels = [torch.zeros(0, 4)] * 2, [torch.tensor([]).long()] * 2
    targets = detection_targets(boxes, labels, torch.tensor([False, False]), THINGS, (6, 8), 4)
    losses = detection_losses(two, targets)
    assert [value.item() for value in losses.values()] == [0, 0]
    sum(losses.values()).backward()
    assert not two.heatmap.grad.any()
