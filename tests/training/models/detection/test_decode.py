"""Boxes from dense maps: hand-made maps, the way back from targets, and learning boxes from scratch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.models.detection.decode import decode_detections
from training.models.detection.loss import BOX_WEIGHT, HEATMAP_WEIGHT, detection_losses
from training.models.detection.targets import detection_targets
from training.models.outputs import DetectionMaps

THINGS = torch.tensor([8, 9, 10])


def blank(rows: int = 6, columns: int = 8, channels: int = 3) -> DetectionMaps:
    return DetectionMaps(torch.full((1, channels, rows, columns), -8.0), torch.ones(1, 4, rows, columns), 4)


def test_a_peak_becomes_a_box_around_its_cells_centre() -> None:
    maps = blank()
    maps.heatmap[0, 1, 2, 3] = 2.0
    maps.size[0, :, 2, 3] = torch.tensor([1.0, 0.5, 2.0, 1.5])
    boxes, scores, labels = decode_detections(maps, THINGS, 24, 32, 5)
    assert boxes.shape == (1, 5, 4)
    # Cell (3, 2) has its centre at (14, 10) pixels.
    assert boxes[0, 0].tolist() == [10, 8, 22, 16]
    assert scores[0, 0].item() == pytest.approx(0.8807971)  # logistic function at 2
    assert labels[0, 0] == 9
    assert (boxes.dtype, scores.dtype, labels.dtype) == (torch.float32, torch.float32, torch.int64)


def test_neighbours_of_a_peak_are_not_detections_but_those_of_other_classes_are() -> None:
    maps = blank()
    maps.heatmap[0, 0, 2, 3] = 3.0
    maps.heatmap[0, 0, 2, 4] = 2.0
    maps.heatmap[0, 0, 2, 5] = 1.0
    maps.heatmap[0, 2, 2, 4] = 0.5
    _, scores, labels = decode_detections(maps, THINGS, 24, 32, 4)
    assert labels[0, :2].tolist() == [8, 10]
    assert scores[0, :2].tolist() == pytest.approx([0.95257413, 0.62245935])  # logistic function at 3 and 0.5
    assert scores[0, 2] < 0.001


def test_detections_come_best_first_and_frames_stay_apart() -> None:
    torch.manual_seed(0)
    maps = DetectionMaps(torch.randn(3, 3, 6, 8), torch.rand(3, 4, 6, 8) + 1, 4)
    boxes, scores, labels = decode_detections(maps, THINGS, 24, 32, 10)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    for frame in range(3):
        alone = DetectionMaps(maps.heatmap[frame : frame + 1], maps.size[frame : frame + 1], 4)
        own = decode_detections(alone, THINGS, 24, 32, 10)
        # Vectorized, a sigmoid may differ in its last bit with its place in memory.
        for one, other in zip(own, (boxes, scores, labels), strict=True):
            torch.testing.assert_close(one[0], other[frame], atol=1e-5, rtol=1e-6)


def test_boxes_are_clipped_to_the_frame() -> None:
    maps = blank()
    maps.heatmap[0, 0, 5, 7] = 4.0
    maps.size[0, :, 5, 7] = 100.0
    boxes, _, _ = decode_detections(maps, THINGS, 23, 30, 1)
    assert boxes[0, 0].tolist() == [0, 0, 30, 23]


def test_a_map_with_fewer_cells_than_asked_for_gives_them_all() -> None:
    boxes, _, _ = decode_detections(blank(2, 2, 1), THINGS[:1], 8, 8, 100)
    assert boxes.shape == (1, 4, 4)


coordinate = st.floats(0, 100, width=32)


@settings(max_examples=25)
@given(x=coordinate, y=coordinate, w=st.floats(4, 60, width=32), h=st.floats(4, 60, width=32))
def test_a_perfect_network_gives_the_labelled_box_back(x: float, y: float, w: float, h: float) -> None:
    """Targets as if a network had answered them; at least a cell wide, so that distances are positive."""
    box = torch.tensor([[x, y, x + w, y + h]])
    targets = detection_targets([box], [torch.tensor([9])], torch.tensor([True]), THINGS, (40, 40), 4)
    maps = DetectionMaps(targets.heatmap * 10 - 5, targets.size, 4)
    boxes, scores, labels = decode_detections(maps, THINGS, 160, 160, 2)
    assert torch.allclose(boxes[0, 0], box[0], atol=1e-3)
    assert labels[0, 0] == 9
    assert scores[0, 0] > 0.99
    assert scores[0, 1] < 0.01


def test_descending_the_losses_finds_the_boxes() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[4.0, 6.0, 24.0, 20.0], [30.0, 10.0, 60.0, 40.0], [34.0, 50.0, 40.0, 62.0]])
    labels = torch.tensor([8, 9, 9])
    targets = detection_targets([boxes], [labels], torch.tensor([True]), THINGS, (16, 16), 4)
    heatmap = torch.full((1, 3, 16, 16), -2.19, requires_grad=True)
    size = torch.zeros(1, 4, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([heatmap, size])
    for step in range(100):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 100)
        losses = detection_losses(DetectionMaps(heatmap, size.exp(), 4), targets)
        optimizer.zero_grad()
        (HEATMAP_WEIGHT * losses["heatmap"] + BOX_WEIGHT * losses["box"]).backward()
        optimizer.step()
    with torch.no_grad():
        found = decode_detections(DetectionMaps(heatmap, size.exp(), 4), THINGS, 64, 64, 4)
    assert (found[1][0] > 0.5).sum() == 3
    order = found[0][0, :3, 0].argsort()
    assert torch.allclose(found[0][0, :3][order], boxes, atol=0.5)
    assert found[2][0, :3][order].tolist() == labels.tolist()
