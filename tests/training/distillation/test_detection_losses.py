"""Losses of detection against hand-worked numbers, torch's distributions and loops from the papers."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch.distributions import Bernoulli, Categorical, Laplace, kl_divergence

from tests.training.distillation.cases import PATH, make_term, random_inputs
from training.distillation.inputs import DistillInputs
from training.distillation.losses.box_masks import box_masks
from training.errors import TrainingError
from training.models.outputs import DetectionMaps, Outputs

BOX = (2.0, 2.0, 2.0, 2.0)


def maps(scores: list[list[float]], sides: tuple[float, ...] = BOX, stride: int = 4) -> Outputs:
    """One frame with one thing class, scores [h][w], and the same box sides (of `stride`) at every cell."""
    p = torch.tensor(scores, dtype=torch.float64)
    size = torch.tensor(sides, dtype=torch.float64).view(1, 4, 1, 1).expand(1, 4, *p.shape)
    return Outputs(None, DetectionMaps(p.logit()[None, None], size, stride))


def inputs_of(student: Outputs, teacher: Outputs) -> DistillInputs:
    shape = (1, *student.detection.heatmap.shape[-2:])
    return DistillInputs(student, teacher, torch.zeros(shape).long(), torch.ones(shape).bool(), 9)


@pytest.mark.parametrize("form", ["bernoulli", "softmax"])
def test_heatmap_of_one_class_equals_the_hand_worked_example(form: str) -> None:
    # 0.8 ln(8/7) + 0.2 ln(2/3); the scores' sum 0.8 is below the least divisor 1.
    found = make_term("heatmap", form=form)(inputs_of(maps([[0.7]]), maps([[0.8]])))
    assert found.item() == pytest.approx(0.0257320, abs=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_bernoulli_heatmap_equals_torchs_distributions(temperature: float) -> None:
    inputs = random_inputs()
    student, teacher, valid = heatmaps(inputs)
    kl = kl_divergence(Bernoulli(logits=teacher / temperature), Bernoulli(logits=student / temperature)).sum(
        1
    )
    expected = temperature**2 * kl[valid].sum() / teacher.sigmoid().amax(1)[valid].sum()
    found = make_term("heatmap", temperature=temperature)(inputs)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_focused_heatmap_weighs_each_class_by_its_squared_difference() -> None:
    # Generalized Focal Loss, equation 4: (0.8 - 0.7)^2 times the cross-entropy less the teacher's entropy.
    found = make_term("heatmap", focus=2.0)(inputs_of(maps([[0.7]]), maps([[0.8]])))
    assert found.item() == pytest.approx(0.01 * 0.0257320, abs=1e-9)


def test_focused_softmax_heatmap_is_refused() -> None:
    with pytest.raises(ValidationError, match="form: bernoulli"):
        make_term("heatmap", form="softmax", focus=2.0)


def test_focus_that_would_give_no_gradient_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        make_term("heatmap", focus=0.5)


@pytest.mark.parametrize("focus", [1.0, 2.0])
def test_focused_heatmap_has_a_gradient_where_student_and_teacher_agree(focus: float) -> None:
    teacher = maps([[0.3, 0.8]])
    logits = teacher.detection.heatmap.clone().requires_grad_()
    student = Outputs(None, DetectionMaps(logits, teacher.detection.size, 4))
    make_term("heatmap", focus=focus)(inputs_of(student, teacher)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-9


def test_softmax_heatmap_is_a_categorical_with_a_background_of_logit_zero() -> None:
    inputs = random_inputs()
    student, teacher, valid = heatmaps(inputs)
    p, q = (
        Categorical(logits=torch.cat([torch.zeros_like(z[:, :1]), z], dim=1).movedim(1, -1))
        for z in (teacher, student)
    )
    expected = kl_divergence(p, q)[valid].sum() / teacher.sigmoid().amax(1)[valid].sum()
    assert make_term("heatmap", form="softmax")(inputs).item() == pytest.approx(expected.item(), rel=1e-9)


def heatmaps(inputs: DistillInputs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return inputs.student.detection.heatmap, inputs.teacher.detection.heatmap, inputs.valid[:, ::2, ::2]


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        # areas 4 and 6, intersection 4, union 6, hull 6: GIoU 4/6
        ((1.0, 1.0, 1.0, 1.0), (2.0, 1.0, 1.0, 1.0), 1 - 4 / 6),
        # areas 4 and 6.25, intersection 2.25, union 8, hull 9: GIoU 2.25/8 - 1/9
        ((1.0, 1.0, 1.0, 1.0), (2.0, 2.0, 0.5, 0.5), 1 - (2.25 / 8 - 1 / 9)),
    ],
)
def test_giou_localization_worked_by_hand(
    student: tuple[float, ...], teacher: tuple[float, ...], expected: float
) -> None:
    inputs = inputs_of(maps([[0.5]], student), maps([[0.9]], teacher))
    assert make_term("localization")(inputs).item() == pytest.approx(expected, rel=1e-9)


def test_localization_weighs_cells_by_the_teachers_score_above_the_threshold() -> None:
    # Distances 1 - GIoU of 1/3 at a score of 0.9, 0 at 0.3; the cell of 0.05 does not count.
    student, teacher = (
        maps([[0.5, 0.5, 0.5]], (1.0, 1.0, 1.0, 1.0)),
        maps([[0.9, 0.3, 0.05]], (2.0, 1.0, 1.0, 1.0)),
    )
    student.detection.size = student.detection.size.clone()
    student.detection.size[0, :, 0, 1] = teacher.detection.size[0, :, 0, 1]
    student.detection.size[0, :, 0, 2] = 100.0
    found = make_term("localization", threshold=0.1)(inputs_of(student, teacher))
    assert found.item() == pytest.approx(0.9 / 3 / 1.2, rel=1e-9)


def test_smooth_l1_localization_is_torchs_weighted_by_score() -> None:
    inputs = random_inputs()
    _, teacher, valid = heatmaps(inputs)
    scores = teacher.sigmoid().amax(1)
    rows = []
    for n, y, x in valid.nonzero().tolist():
        pair = (inputs.student.detection.size[n, :, y, x], inputs.teacher.detection.size[n, :, y, x])
        rows.append(scores[n, y, x] * F.smooth_l1_loss(*pair))
    expected = sum(rows) / scores[valid].sum()
    found = make_term("localization", form="smooth_l1", threshold=0.0)(inputs)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_localization_reads_a_teacher_of_another_stride_in_pixels() -> None:
    # The box (0, 0, 16, 16) in pixels: exact distances at strides 4 and 8, so nothing is left to learn.
    def whole_picture(stride: int, cells: int) -> Outputs:
        centre = (torch.arange(cells, dtype=torch.float64) + 0.5) * stride
        x, y = centre.expand(cells, cells), centre[:, None].expand(cells, cells)
        sides = torch.stack([x, y, 16 - x, 16 - y])[None] / stride
        return Outputs(None, DetectionMaps(torch.zeros(1, 1, cells, cells).double(), sides, stride))

    pixels = torch.ones(1, 16, 16, dtype=torch.bool)
    for strides in ((4, 8), (4, 2), (8, 2)):
        student, teacher = (whole_picture(stride, 16 // stride) for stride in strides)
        inputs = DistillInputs(student, teacher, pixels.long(), pixels, 9)
        for form in ("giou", "smooth_l1"):
            assert make_term("localization", form=form)(inputs).item() == pytest.approx(0, abs=1e-6)


def test_a_network_that_does_not_detect_is_named() -> None:
    with pytest.raises(TrainingError, match="the teacher detects nothing"):
        make_term("heatmap")(inputs_of(maps([[0.5]]), Outputs()))


def test_box_masks_share_out_each_object_and_the_background() -> None:
    # Stride 2, 3 x 4 cells. Frame 0: x 1..5, y 1..4 covers columns 0..2, rows 0..1: 6 cells.
    # Frame 1: (0,0,3,3) covers 2 x 2 cells; (2,2,8,6) columns 1..3, rows 1..2: 6; the smaller wins.
    inputs = random_inputs()
    inside, outside = box_masks(inputs, torch.ones(2, 3, 4, dtype=torch.bool))
    sixth, fourth = 1 / 6, 1 / 4
    expected = [
        [[sixth, sixth, sixth, 0], [sixth, sixth, sixth, 0], [0, 0, 0, 0]],
        [[fourth, fourth, 0, 0], [fourth, fourth, sixth, sixth], [0, sixth, sixth, sixth]],
    ]
    torch.testing.assert_close(inside, torch.tensor(expected))
    torch.testing.assert_close(outside[0], torch.tensor([[0, 0, 0, 1.0], [0, 0, 0, 1], [1, 1, 1, 1]]) / 6)
    torch.testing.assert_close(outside[1], torch.tensor([[0, 0, 1.0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]) / 3)


def test_box_masks_are_empty_where_boxes_are_unknown_but_not_where_there_are_none() -> None:
    inputs = replace(
        random_inputs(),
        boxes=[torch.tensor([[0.0, 0.0, 8.0, 6.0]]), torch.empty(0, 4)],
        has_boxes=torch.tensor([False, True]),
    )
    inside, outside = box_masks(inputs, torch.ones(2, 3, 4, dtype=torch.bool))
    assert inside.sum() == 0
    assert outside[0].sum() == 0
    torch.testing.assert_close(outside[1], torch.full((3, 4), 1 / 12))


def test_box_masks_leave_out_invalid_cells() -> None:
    # 3 x 4 cells without the left column. Frame 0: of the box's six cells (each 1/6) four are left; outside
    # it five cells share the background.
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    valid[0, :, 0] = False
    inside, outside = box_masks(random_inputs(), valid)
    sixth = 1 / 6
    torch.testing.assert_close(
        inside[0], torch.tensor([[0, sixth, sixth, 0], [0, sixth, sixth, 0], [0, 0, 0, 0]])
    )
    torch.testing.assert_close(outside[0], torch.tensor([[0, 0, 0, 0.2], [0, 0, 0, 0.2], [0, 0.2, 0.2, 0.2]]))


def test_fgd_equals_loops_over_the_papers_sums() -> None:
    inputs = random_inputs()
    inputs = replace(inputs, valid=torch.ones_like(inputs.valid))
    term = make_term("fgd", temperature=0.5, foreground=3.0, background=2.0, attention=0.7, relation=0.1)
    generator = torch.Generator().manual_seed(1)
    for parameter in term.parameters():  # the context's last layer starts at zero
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    student, teacher = inputs.student_features[PATH], inputs.teacher_features[PATH]
    inside, outside = box_masks(inputs, torch.ones(2, 3, 4, dtype=torch.bool))
    expected = 0.0
    for n in range(2):
        f_s, f_t = student[n], teacher[n]
        spatial, channel = [], []
        for f in (f_t, f_s):
            spatial.append(12 * (f.abs().mean(0).flatten() / 0.5).softmax(0).view(3, 4))
            channel.append(5 * (f.abs().mean((1, 2)) / 0.5).softmax(0))
        r_s = f_s + context(term.student_context, f_s)
        r_t = f_t + context(term.teacher_context, f_t)
        for k in range(5):
            for y in range(3):
                for x in range(4):
                    weight = 3.0 * inside[n, y, x] + 2.0 * outside[n, y, x]
                    attended = spatial[0][y, x] * channel[0][k] * (f_t[k, y, x] - f_s[k, y, x]) ** 2
                    expected += (weight * attended + 0.1 * (r_t[k, y, x] - r_s[k, y, x]) ** 2).item() / 2
        expected += (
            0.7 * ((spatial[0] - spatial[1]).abs().sum() + (channel[0] - channel[1]).abs().sum()).item() / 2
        )
    assert term(inputs).item() == pytest.approx(expected, rel=1e-6)


def context(block: torch.nn.Module, f: torch.Tensor) -> torch.Tensor:
    """GcBlock's addition to one map [C,h,w], position by position: [C,1,1]."""
    c = len(f)
    scores = torch.einsum("c,chw->hw", block.mask.weight.view(c), f) + block.mask.bias
    share = scores.flatten().softmax(0)
    pooled = f.flatten(1) @ share
    middle = block.reduce.weight.view(-1, c) @ pooled + block.reduce.bias
    middle = (middle - middle.mean()) / (middle.var(unbiased=False) + 1e-5).sqrt()
    middle = (middle * block.norm.weight.view(-1) + block.norm.bias.view(-1)).relu()
    return (block.expand.weight.view(c, -1) @ middle + block.expand.bias)[:, None, None]


def test_smooth_l1_follows_the_kl_of_laplace_distributions() -> None:
    # What the docstring says of LD: KL(Laplace(a, 1) || Laplace(b, 1)) = x + exp(-x) - 1, x = |a - b|.
    # The same near 0, and but for the constant 1/2 far off.
    term = make_term("localization", form="smooth_l1")
    for x, apart in ((0.01, 0.0), (12.0, 0.5)):
        teacher = maps([[0.9]], tuple(side + x for side in BOX))
        kl = kl_divergence(Laplace(2.0, 1.0), Laplace(teacher.detection.size.double(), 1.0)).mean().item()
        assert kl == pytest.approx(x + math.exp(-x) - 1, rel=1e-3)
        assert term(inputs_of(maps([[0.5]]), teacher)).item() == pytest.approx(kl + apart, rel=1e-2)
