"""Boxes to maps and back, on hand-worked boxes."""

import torch

from training.models.outputs import DetectionMaps
from training.teachers.base import ScoredBoxes
from training.teachers.detection_maps import LOW_LOGIT, clip, decode_maps, render_boxes

# Frame of 64 x 96 pixels, two classes: centres (21, 15) and (70, 42).
ITEM = ScoredBoxes(
    torch.tensor([[10.0, 6.0, 32.0, 24.0], [54.0, 30.0, 86.0, 54.0]]), torch.tensor([[0.9, 0.2], [0.0, 0.6]])
)


def test_peaks_hold_the_score_and_the_distances_in_strides() -> None:
    maps = render_boxes([ITEM], 64, 96, 4)
    assert maps.heatmap.shape == (1, 2, 16, 24)
    # Centre (21, 15) lies in column 5, row 3, whose centre is (22, 14).
    torch.testing.assert_close(maps.heatmap[0, :, 3, 5].sigmoid(), torch.tensor([0.9, 0.2]))
    torch.testing.assert_close(maps.size[0, :, 3, 5], torch.tensor([12.0, 8.0, 10.0, 10.0]) / 4)
    assert maps.heatmap[0, 0].argmax() == 3 * 24 + 5
    assert maps.heatmap[0, 1].argmax() == 10 * 24 + 17
    assert maps.heatmap[0, 0, 10, 17] == LOW_LOGIT
    assert (maps.size > 0).all()


def test_decoding_gives_the_boxes_back() -> None:
    (found,) = decode_maps(render_boxes([ITEM], 64, 96, 4), floor=0.05)
    torch.testing.assert_close(found.boxes, ITEM.boxes, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.scores, ITEM.scores, atol=1e-3, rtol=0)


def test_frames_without_boxes_are_empty_maps() -> None:
    empty = ScoredBoxes(torch.zeros(0, 4), torch.zeros(0, 2))
    maps = render_boxes([empty], 64, 96, 4)
    assert (maps.heatmap == LOW_LOGIT).all()
    assert len(decode_maps(maps)[0].boxes) == 0


def test_where_boxes_overlap_the_stronger_one_owns_the_cell() -> None:
    inner, outer = [20.0, 20.0, 40.0, 40.0], [10.0, 10.0, 50.0, 50.0]
    item = ScoredBoxes(torch.tensor([outer, inner]), torch.tensor([[0.9], [0.4]]))
    maps = render_boxes([item], 64, 64, 4)
    torch.testing.assert_close(maps.size[0, :, 7, 7] * 4, torch.full((4,), 20.0))
    torch.testing.assert_close(maps.heatmap[0, 0, 7, 7].sigmoid(), torch.tensor(0.9))


def test_clip_cuts_boxes_to_the_frame_and_drops_what_is_outside() -> None:
    item = ScoredBoxes(torch.tensor([[-5.0, 2.0, 8.0, 99.0], [70.0, 0.0, 80.0, 9.0]]), torch.ones(2, 1))
    torch.testing.assert_close(clip(item, 20, 60).boxes, torch.tensor([[0.0, 2.0, 8.0, 20.0]]))


def test_lone_maximum_of_a_flat_map_is_no_crowd_of_boxes() -> None:
    maps = DetectionMaps(torch.full((1, 1, 8, 8), LOW_LOGIT), torch.ones(1, 4, 8, 8), 4)
    assert len(decode_maps(maps)[0].boxes) == 0
