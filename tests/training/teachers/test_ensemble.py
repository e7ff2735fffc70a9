"""Ensembles and test-time augmentation, on answers that are known."""

import pytest
import torch
from torch import Tensor

from tests.training.teachers.fakes import FakeTeacher, color_logits
from training.errors import TrainingError
from training.models.outputs import DetectionMaps, upsample
from training.teachers.base import ScoredBoxes, Teacher, TeacherOutputs
from training.teachers.detection_maps import decode_maps, render_boxes
from training.teachers.ensemble import AugmentedTeacher, Ensemble
from training.teachers.views import make_view, place_maps

IMAGES = torch.zeros(2, 3, 64, 96)
BOXES = [[10.0, 6.0, 32.0, 24.0], [54.0, 30.0, 86.0, 54.0]]


def segmenting(probabilities: list[float], size: tuple[int, int], known: list[bool] | None = None) -> Teacher:
    values = torch.tensor(probabilities).log().clamp(min=-100)[None, :, None, None]
    flags = known or [True] * len(probabilities)
    return FakeTeacher(lambda images: TeacherOutputs(values.expand(len(images), -1, *size)), flags)


def detecting(box: list[float], score: float, stride: int) -> Teacher:
    def answer(images: Tensor) -> TeacherOutputs:
        item = ScoredBoxes(torch.tensor([box]), torch.tensor([[score, 0.0]]))
        height, width = images.shape[-2:]
        return TeacherOutputs(detection=render_boxes([item] * len(images), height, width, stride))

    return FakeTeacher(answer, None, [True, True])


def test_members_of_other_strides_meet_at_the_finest_with_their_weights() -> None:
    both = Ensemble([segmenting([0.6, 0.4], (16, 24)), segmenting([0.2, 0.8], (8, 12))], [3, 1])
    out = both(IMAGES)
    assert out.logits is not None
    expected = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1).expand(2, 2, 16, 24)
    torch.testing.assert_close(out.logits.exp(), expected)


def test_a_class_is_averaged_over_those_who_know_it() -> None:
    half = segmenting([0.6, 0.0, 0.4], (8, 12), [True, False, True])
    both = Ensemble([half, segmenting([0.2, 0.3, 0.5], (8, 12))], [1, 1])
    logits = both(IMAGES).logits
    assert logits is not None
    # 0.4, 0.3, 0.45 claim 1.15 between them.
    torch.testing.assert_close(logits[0, :, 0, 0].exp(), torch.tensor([0.4, 0.3, 0.45]) / 1.15)
    assert both.known is not None
    assert both.known.tolist() == [True, True, True]


def test_each_task_is_averaged_over_those_who_do_it() -> None:
    both = Ensemble([segmenting([0.6, 0.4], (16, 24)), detecting(BOXES[0], 0.9, 4)], [1, 1])
    out = both(IMAGES)
    assert out.logits is not None
    torch.testing.assert_close(out.logits[0, :, 0, 0].exp(), torch.tensor([0.6, 0.4]))
    assert out.detection is not None
    torch.testing.assert_close(out.detection.heatmap[0, 0, 3, 5].sigmoid(), torch.tensor(0.9))


def test_heatmaps_are_averaged_and_sizes_weighted_by_score() -> None:
    wide = [2.0, 6.0, 40.0, 24.0]  # the same centre
    out = Ensemble([detecting(BOXES[0], 0.9, 4), detecting(wide, 0.3, 4)], [1, 1])(IMAGES).detection
    assert out is not None
    torch.testing.assert_close(out.heatmap[0, 0, 3, 5].sigmoid(), torch.tensor(0.6))
    left = (0.9 * 12 + 0.3 * 20) / 1.2
    torch.testing.assert_close(out.size[0, 0, 3, 5] * 4, torch.tensor(left))


def test_coarser_maps_keep_their_boxes_on_the_finer_grid() -> None:
    coarse = detecting(BOXES[1], 0.8, 8)(IMAGES).detection
    placed = place_maps(coarse, (64, 96), (64, 96), 4, flip=False)
    best = decode_maps(placed, count=1)[0].boxes
    torch.testing.assert_close(best, torch.tensor([BOXES[1]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [4.0, 5.0, 10.0])
def test_finer_maps_keep_small_objects_and_their_boxes_on_the_coarser_grid(stride: int, side: float) -> None:
    box = [30.0, 21.0, 30.0 + side, 21.0 + side]
    placed = place_maps(detecting(box, 0.9, stride)(IMAGES).detection, (64, 96), (64, 96), 4, flip=False)
    assert placed.heatmap.shape[-2:] == (16, 24)
    best = decode_maps(placed, count=1)[0]
    # A side lies at least 0.001 cells from a centre.
    torch.testing.assert_close(best.boxes, torch.tensor([box]), atol=5e-3, rtol=0)
    assert best.scores.max() == pytest.approx(0.9, abs=1e-3)


def test_an_ensemble_needs_two_members_with_weights() -> None:
    with pytest.raises(TrainingError, match="an ensemble of 1 teachers"):
        Ensemble([segmenting([1.0], (8, 12))], [1])


def test_flipped_views_are_flipped_back() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 96) * 255
    teacher = FakeTeacher(lambda x: TeacherOutputs(color_logits(x, 5)), [True] * 5)
    # A teacher without a sense of left and right says the same of the mirrored frame.
    found = AugmentedTeacher(teacher, [1.0], flip=True)(images).logits
    torch.testing.assert_close(found, color_logits(images, 5), atol=1e-5, rtol=1e-4)
    assert teacher.asked == 4


def test_views_are_averaged_with_equal_weight() -> None:
    def dimmed(images: Tensor) -> TeacherOutputs:
        chance = 0.9 if images.shape[-1] == 96 else 0.5
        cells = images.shape[-2] // 4, images.shape[-1] // 4
        values = torch.tensor([chance, 1 - chance]).log().view(1, 2, 1, 1)
        return TeacherOutputs(values.expand(len(images), 2, *cells))

    found = AugmentedTeacher(FakeTeacher(dimmed, [True] * 2), [1.0, 2.0], flip=False)(IMAGES).logits
    assert found is not None
    assert found.shape == (2, 2, 32, 48)
    torch.testing.assert_close(found[0, 0].exp(), torch.full((32, 48), 0.7))


def test_boxes_of_scaled_and_mirrored_views_return_to_where_they_were() -> None:
    """The teacher finds the box where the view shows it: drawn at its place in each view."""

    def answer(images: Tensor) -> TeacherOutputs:
        frames = []
        for image in images:
            rows, columns = torch.nonzero(image[0] > 128, as_tuple=True)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            frames.append(ScoredBoxes(torch.tensor([box]).float(), torch.tensor([[0.9]])))
        height, width = images.shape[-2:]
        return TeacherOutputs(detection=render_boxes(frames, height, width, 4))

    images = torch.zeros(1, 3, 64, 96)
    images[..., 10:26, 20:48] = 255  # centre (34, 18), that of a cell
    teacher = FakeTeacher(answer, None, [True])
    out = AugmentedTeacher(teacher, [1.0, 2.0], flip=True)(images).detection
    assert isinstance(out, DetectionMaps)
    assert out.heatmap.shape == (1, 1, 16, 24)
    best = decode_maps(out, count=1)[0]
    torch.testing.assert_close(best.boxes, torch.tensor([[20.0, 10.0, 48.0, 26.0]]), atol=0.5, rtol=0)
    torch.testing.assert_close(best.scores[0, 0], torch.tensor(0.9), atol=0.01, rtol=0)


def test_views_have_sides_that_networks_can_halve() -> None:
    assert make_view(torch.zeros(1, 3, 360, 480), 1.5, False).shape == (1, 3, 544, 704)


def ramp(height: int, width: int) -> Tensor:
    """A frame whose first channel is the column in pixels and whose second the row, float [1,3,H,W]."""
    columns, rows = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    return torch.stack(
        [columns.expand(height, -1), rows[:, None].expand(-1, width), torch.zeros(height, width)]
    )[None]


def looking(channel: int, edge: float, stride: int) -> Teacher:
    """Sure of the second class where the channel's mean over a cell lies above `edge`, of the first below.

    It does not tell left from right; where a cell stands out over the frame, what lies within it counts.
    """

    def answer(images: Tensor) -> TeacherOutputs:
        cells = torch.nn.functional.avg_pool2d(images[:, channel : channel + 1], stride, ceil_mode=True)
        odds = (cells - edge) / 16
        return TeacherOutputs(torch.cat([-odds, odds], 1).log_softmax(1))

    return FakeTeacher(answer, [True, True])


def contour(log_probs: Tensor, frame: tuple[int, int], axis: int) -> float:
    """Where along the axis (0 rows, 1 columns) both classes are equally likely, in pixels of the frame."""
    full = upsample(log_probs, *frame)[0]
    line = (full[1] - full[0]).select(1 - axis, 5)
    after = int((line > 0).float().argmax())
    return after + 0.5 - float(line[after] / (line[after] - line[after - 1]))


@pytest.mark.parametrize(("width", "edge"), [(484, 242.0), (1242, 621.0), (480, 240.0)])
def test_a_mask_that_stands_out_over_the_frames_edge_is_mirrored_about_the_frames_middle(
    width: int, edge: float
) -> None:
    images, teacher = ramp(16, width), looking(0, edge, 8)
    plain, merged = teacher(images).logits, AugmentedTeacher(teacher, [1.0], flip=True)(images).logits
    assert plain is not None
    assert merged is not None
    assert contour(plain, (16, width), 1) == pytest.approx(edge, abs=0.01)
    assert contour(merged, (16, width), 1) == pytest.approx(edge, abs=0.01)
    # At the edges one of the views knows less: the cell that stands out has no more than half its pixels.
    torch.testing.assert_close(merged[..., 1:-2], plain[..., 1:-2], atol=1e-3, rtol=1e-4)


def test_a_mirrored_view_keeps_the_mass_that_is_in_none_of_the_classes() -> None:
    teacher = segmenting([0.3, 0.2], (2, 61))
    merged = AugmentedTeacher(teacher, [1.0], flip=True)(torch.zeros(1, 3, 16, 484)).logits
    assert merged is not None
    expected = torch.tensor([0.3, 0.2]).view(1, 2, 1, 1).expand(1, 2, 2, 61)
    torch.testing.assert_close(merged.exp(), expected)


@pytest.mark.parametrize("scales", [(1.0, 1.5), (1.0, 0.5), (0.5, 1.0, 1.5)])
@pytest.mark.parametrize("axis", [0, 1])
def test_views_of_other_scales_meet_where_they_are_in_the_frame(scales: tuple[float, ...], axis: int) -> None:
    """370 x 484 at stride 8 are 376 x 488 pixels; the other views have sides that their stride divides."""
    images, edge = ramp(370, 484), (252.0, 330.0)[axis]
    teacher = AugmentedTeacher(looking(1 - axis, edge, 8), scales, flip=True)
    found = teacher(images).logits
    assert found is not None
    assert contour(found, (370, 484), axis) == pytest.approx(edge, abs=0.1)


def test_a_member_of_whole_stride_meets_one_that_sees_the_frame_resized() -> None:
    def resized(images: Tensor) -> TeacherOutputs:
        small = torch.nn.functional.interpolate(images, (256, 256), mode="bilinear", antialias=True)
        answer: TeacherOutputs = looking(1, 252.0, 4)(small)
        return answer

    whole, images = looking(1, 252.0, 8), ramp(370, 484)
    for members in ([whole, FakeTeacher(resized, [True] * 2)], [looking(1, 252.0, 4), whole]):
        found = Ensemble(members, [1, 1])(images).logits
        assert found is not None
        assert contour(found, (370, 484), 0) == pytest.approx(252.0, abs=0.1)


def test_an_answer_of_a_smaller_view_alone_is_not_taken_for_one_that_stands_out() -> None:
    """Half of 370 x 500 is seen as 192 x 256: 24 x 32 cells, as many as a map of stride 16 would have."""
    teacher = AugmentedTeacher(looking(1, 252.0, 8), [0.5], flip=False)
    found = teacher(ramp(370, 500)).logits
    assert found is not None
    assert contour(found, (370, 500), 0) == pytest.approx(252.0, abs=0.1)
