"""Dense detection targets against numbers worked out by hand from TTFNet's rule."""

import math

import pytest
import torch

from training.errors import TrainingError
from training.models.detection.targets import DetectionTargets, detection_targets

THINGS = torch.tensor([8, 10])


def targets(
    boxes: list[list[float]], labels: list[int], shape: tuple[int, int] = (10, 12)
) -> DetectionTargets:
    """Of one frame at stride 4."""
    frame, classes = torch.tensor(boxes).view(-1, 4), torch.tensor(labels).long()
    return detection_targets([frame], [classes], torch.tensor([True]), THINGS, shape, 4)


def test_a_box_lays_a_gaussian_of_its_own_shape_on_its_class() -> None:
    # Centre (5.5, 4.5) in cell (5, 4), 5 wide, 3 high; radii floor(2.5*0.54) = 1 and floor(1.5*0.54) = 0.
    found = targets([[12.0, 12.0, 32.0, 24.0]], [10])
    assert found.heatmap.shape == (1, 2, 10, 12)
    assert not found.heatmap[0, 0].any()
    row = torch.zeros(12)
    side = math.exp(-1 / (2 * 0.5**2))  # sigma = (2*1 + 1) / 6
    row[4:7] = torch.tensor([side, 1.0, side])
    expected = torch.zeros(10, 12)
    expected[4] = row
    assert torch.allclose(found.heatmap[0, 1], expected)


def test_every_cell_under_the_gaussian_learns_the_distances_to_the_sides() -> None:
    found = targets([[12.0, 12.0, 32.0, 24.0]], [10])
    # Centre of cell (5, 4) is at (22, 18) pixels; its right neighbour's at (26, 18). In strides of 4:
    assert found.size[0, :, 4, 5].tolist() == [2.5, 1.5, 2.5, 1.5]
    assert found.size[0, :, 4, 6].tolist() == [3.5, 1.5, 1.5, 1.5]
    assert not found.size[0, :, 3].any()


def test_weights_of_a_box_follow_its_gaussian_and_add_up_to_the_log_of_its_area() -> None:
    found = targets([[12.0, 12.0, 32.0, 24.0]], [10])
    weight = found.weight[0, 4]
    assert weight.sum().item() == pytest.approx(math.log(20 * 12))
    assert (weight[4] / weight[5]).item() == pytest.approx(math.exp(-2))
    assert found.weight.sum() == weight.sum()


def test_a_cell_under_two_boxes_belongs_to_the_smaller_one() -> None:
    large, small = [0.0, 0.0, 48.0, 40.0], [20.0, 16.0, 28.0, 24.0]
    for boxes in ([large, small], [small, large]):
        found = targets(boxes, [8, 8])
        # The small box is 2x2 cells with radius 0 at cell (6, 5), whose centre is (26, 22) pixels.
        assert found.size[0, :, 5, 6].tolist() == [1.5, 1.5, 0.5, 0.5]
        assert found.size[0, :, 5, 7].tolist() == [7.5, 5.5, 4.5, 4.5]


def test_overlapping_boxes_of_a_class_keep_the_larger_value() -> None:
    box, other = [8.0, 8.0, 32.0, 32.0], [16.0, 8.0, 40.0, 32.0]
    both = targets([box, other], [8, 8]).heatmap
    assert torch.equal(both, torch.maximum(targets([box], [8]).heatmap, targets([other], [8]).heatmap))


def test_a_box_smaller_than_a_cell_may_not_reach_the_cells_centre() -> None:
    found = targets([[20.0, 20.0, 21.0, 21.0]], [8])
    assert found.heatmap[0, 0, 5, 5] == 1
    # The centre is at (22, 22), one pixel right of the box and below it.
    assert found.size[0, :, 5, 5].tolist() == [0.5, 0.5, -0.25, -0.25]
    assert found.weight[0, 5, 5] == pytest.approx(1)  # log of an area below e counts as 1


def test_a_centre_on_the_far_border_stays_on_the_map() -> None:
    found = targets([[40.0, 30.0, 56.0, 50.0]], [8])
    assert found.heatmap[0, 0, 9, 11] == 1


def test_empty_boxes_and_frames_without_boxes_leave_nothing() -> None:
    for found in (targets([[5.0, 5.0, 5.0, 9.0]], [8]), targets([], [])):
        assert not found.heatmap.any()
        assert not found.weight.any()
        assert found.heatmap.shape == (1, 2, 10, 12)


def test_frames_of_a_batch_are_told_apart() -> None:
    box = torch.tensor([[12.0, 12.0, 32.0, 24.0]])
    labels, known = [torch.tensor([]).long(), torch.tensor([8])], torch.tensor([False, True])
    found = detection_targets([box[:0], box], labels, known, THINGS, (6, 8), 4)
    assert found.known.tolist() == [False, True]
    assert not found.heatmap[0].any()
    assert found.heatmap[1].amax() == 1


def test_a_label_that_is_no_thing_is_named() -> None:
    with pytest.raises(TrainingError, match=r"labels \[3\], but the things of the class set are \[8, 10\]"):
        targets([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 8.0]], [8, 3])
