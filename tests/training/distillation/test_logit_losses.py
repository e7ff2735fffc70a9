"""Losses on logits against hand-worked numbers, torch, scipy and loops written from the papers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from tests.training.distillation.cases import VOID, logit_inputs, make_term, random_inputs
from training.distillation.losses import jaccard_metric
from training.distillation.losses.base import Site
from training.distillation.losses.kl import Kl, KlSpec
from training.errors import TrainingError


def logits_of(*probabilities: float) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log().view(1, -1, 1, 1)


def random_logits(seed: int, shape: tuple[int, ...] = (2, 4, 3, 3)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return student, teacher


def pixels(logits: torch.Tensor, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of every pixel, [P,C], by numpy."""
    z = logits.movedim(1, -1).flatten(0, -2).numpy() / temperature
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_kl_term_equals_the_hand_worked_example() -> None:
    # P = (0.8, 0.2), Q = (0.7, 0.3): 0.8 ln(8/7) + 0.2 ln(2/3) = 0.0257320
    inputs = logit_inputs(logits_of(0.7, 0.3), logits_of(0.8, 0.2))
    assert make_term("kl")(inputs).item() == pytest.approx(0.0257320, abs=1e-7)


def test_kl_sees_what_a_finer_teacher_says_between_the_students_cells() -> None:
    # The teacher's two columns average to the student's one; the student says the same of both.
    teacher = torch.cat([logits_of(0.8, 0.2), logits_of(0.2, 0.8)], dim=-1)
    student = logits_of(0.5, 0.5)
    per_column = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert make_term("kl")(logit_inputs(student, teacher)).item() == pytest.approx(per_column, rel=1e-9)


def test_soft_cross_entropy_equals_the_hand_worked_example() -> None:
    # -0.8 ln 0.7 - 0.2 ln 0.3 = 0.2853399 + 0.2407946
    inputs = logit_inputs(logits_of(0.7, 0.3), logits_of(0.8, 0.2))
    assert make_term("soft_cross_entropy")(inputs).item() == pytest.approx(0.5261345, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_cross_entropy_equals_torchs_with_soft_targets(temperature: float) -> None:
    student, teacher = random_logits(0)
    expected = F.cross_entropy(student / temperature, (teacher / temperature).softmax(1)) * temperature**2
    found = make_term("soft_cross_entropy", temperature=temperature)(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_temperature_follows_its_schedule() -> None:
    student, teacher = random_logits(0)
    annealed = make_term("kl", temperature={"start": 8.0, "end": 1.0})
    for progress, temperature in ((0.0, 8.0), (0.5, 4.5), (1.0, 1.0)):
        inputs = logit_inputs(student, teacher, progress=progress)
        fixed = make_term("kl", temperature=temperature)(inputs)
        assert annealed(inputs).item() == pytest.approx(fixed.item(), rel=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_high_temperature_limit_of_kl_is_half_the_centred_logit_mse(seed: int) -> None:
    inputs = logit_inputs(*random_logits(seed))
    kl = make_term("kl", temperature=1e4)(inputs)
    mse = make_term("mse")(inputs)
    assert kl.item() == pytest.approx(mse.item() / 2, rel=1e-3)


def test_mse_is_torchs_of_centred_logits_and_sees_no_offset() -> None:
    student, teacher = random_logits(0)
    centred = [logits - logits.mean(1, keepdim=True) for logits in (student, teacher)]
    found = make_term("mse")(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(F.mse_loss(*centred).item(), rel=1e-12)
    assert make_term("mse")(logit_inputs(student + 5.0, student)).item() == pytest.approx(0, abs=1e-12)


def test_kl_class_weights_weigh_pixels_by_label_then_by_the_teachers_answer() -> None:
    # Three pixels with KL a, b, c; labels 1, 0 and none, where the teacher says 1: (2a + b + 2c) / 5.
    teacher = torch.cat([logits_of(0.8, 0.2), logits_of(0.6, 0.4), logits_of(0.1, 0.9)], dim=3)
    student = torch.cat([logits_of(0.7, 0.3), logits_of(0.5, 0.5), logits_of(0.3, 0.7)], dim=3)
    a, b, c = (
        sum(p * math.log(p / q) for p, q in pairs)
        for pairs in (((0.8, 0.7), (0.2, 0.3)), ((0.6, 0.5), (0.4, 0.5)), ((0.1, 0.3), (0.9, 0.7)))
    )
    inputs = logit_inputs(student, teacher, target=torch.tensor([[[1, 0, VOID]]]))
    term = Kl(KlSpec(class_weights=(1.0, 2.0)), Site(classes=2))
    assert term(inputs).item() == pytest.approx((2 * a + b + 2 * c) / 5, rel=1e-6)


def test_kl_class_weights_must_be_as_many_as_classes() -> None:
    with pytest.raises(TrainingError, match=r"kl\.class_weights: 3 numbers for 2 classes"):
        Kl(KlSpec(class_weights=(1.0, 2.0, 3.0)), Site(classes=2))


def test_fully_balanced_kl_is_the_mean_of_the_classes_means() -> None:
    inputs = random_inputs()
    found = make_term("kl", balance=1.0)(inputs)
    target, valid = inputs.target[:, ::2, ::2].flatten(), inputs.valid[:, ::2, ::2].flatten()
    p, q = pixels(inputs.teacher.logits), pixels(inputs.student.logits)
    by_class: dict[int, list[float]] = {}
    for i in range(len(p)):
        if valid[i]:
            label = int(target[i]) if target[i] != VOID else int(p[i].argmax())
            by_class.setdefault(label, []).append(float((p[i] * np.log(p[i] / q[i])).sum()))
    assert len(by_class) > 1
    assert found.item() == pytest.approx(np.mean([np.mean(v) for v in by_class.values()]), rel=1e-9)


def test_half_balanced_kl_weighs_a_pixel_by_one_over_the_root_of_how_many_its_class_has() -> None:
    # Four pixels of class 0 with KL a, one of class 1 with KL b: weights 1/2 and 1, so (2a + b) / 3.
    teacher = torch.cat([logits_of(0.8, 0.2)] * 4 + [logits_of(0.1, 0.9)], dim=3)
    student = torch.cat([logits_of(0.7, 0.3)] * 4 + [logits_of(0.3, 0.7)], dim=3)
    a = 0.8 * math.log(0.8 / 0.7) + 0.2 * math.log(0.2 / 0.3)
    b = 0.1 * math.log(0.1 / 0.3) + 0.9 * math.log(0.9 / 0.7)
    inputs = logit_inputs(student, teacher, target=torch.tensor([[[0, 0, 0, 0, 1]]]))
    found = Kl(KlSpec(balance=0.5), Site(classes=2))(inputs)
    assert found.item() == pytest.approx((2 * a + b) / 3, rel=1e-6)


def test_confidence_weighs_pixels_by_the_teachers_highest_probability() -> None:
    student, teacher = random_logits(1)
    p, q = pixels(teacher), pixels(student)
    weights = p.max(1)
    expected = (weights * (p * np.log(p / q)).sum(1)).sum() / weights.sum()
    found = make_term("kl", confidence=True)(logit_inputs(student, teacher.log_softmax(1)))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_confidence_is_that_of_the_class_and_not_of_the_best_of_a_bad_lot() -> None:
    # The second pixel is none of the two classes by half: 0.4 weighs half of the first one's 0.8.
    teacher = torch.cat([logits_of(0.8, 0.2), logits_of(0.4, 0.1)], dim=3)
    student = torch.cat([logits_of(0.7, 0.3), logits_of(0.8, 0.2)], dim=3)
    found = make_term("kl", confidence=True)(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(0.0257320 * 0.8 / 1.2, abs=1e-7)


def test_pseudo_labels_count_where_the_teacher_is_sure() -> None:
    # The second pixel's 0.6 is below the threshold: -ln 0.7 remains.
    teacher = torch.cat([logits_of(0.95, 0.05), logits_of(0.6, 0.4)], dim=3)
    student = torch.cat([logits_of(0.7, 0.3), logits_of(0.2, 0.8)], dim=3)
    found = make_term("pseudo_labels", threshold=0.9)(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(-math.log(0.7), rel=1e-9)


def test_pseudo_labels_are_not_sure_where_little_is_left_for_all_classes_together() -> None:
    # Of the student's classes the first is by far the likeliest, but 0.99 is for none of them.
    teacher = torch.cat([logits_of(0.0096, 0.0004), logits_of(0.95, 0.05)], dim=3)
    student = torch.cat([logits_of(0.2, 0.8), logits_of(0.7, 0.3)], dim=3)
    found = make_term("pseudo_labels", threshold=0.9)(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(-math.log(0.7), rel=1e-9)


def test_pseudo_labels_equal_torchs_cross_entropy_with_the_unsure_ignored() -> None:
    student, teacher = random_logits(3)
    confidence, answer = teacher.softmax(1).max(1)
    expected = F.cross_entropy(student, answer.masked_fill(confidence < 0.5, -100), ignore_index=-100)
    found = make_term("pseudo_labels", threshold=0.5)(logit_inputs(student, teacher))
    assert 0 < (confidence < 0.5).sum() < confidence.numel()
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_pseudo_labels_may_leave_out_labelled_pixels() -> None:
    teacher = torch.cat([logits_of(0.9, 0.1), logits_of(0.1, 0.9)], dim=3)
    student = torch.cat([logits_of(0.7, 0.3), logits_of(0.4, 0.6)], dim=3)
    inputs = logit_inputs(student, teacher, target=torch.tensor([[[1, VOID]]]))
    term = make_term("pseudo_labels", threshold=0.5, unlabelled_only=True)
    assert term(inputs).item() == pytest.approx(-math.log(0.6), rel=1e-9)


def test_dkd_equals_the_hand_worked_example() -> None:
    # P = (0.7, 0.2, 0.1), Q = (0.5, 0.3, 0.2), true class 0.
    # TCKD = 0.7 ln(0.7/0.5) + 0.3 ln(0.3/0.5) = 0.2355305 - 0.1532477 = 0.0822829
    # NCKD: (2/3, 1/3) against (0.6, 0.4) = 2/3 ln(10/9) + 1/3 ln(5/6) = 0.0702403 - 0.0607739 = 0.0094665
    inputs = logit_inputs(
        logits_of(0.5, 0.3, 0.2), logits_of(0.7, 0.2, 0.1), target=torch.zeros(1, 1, 1).long()
    )
    found = make_term("dkd", alpha=1.0, beta=2.0)(inputs)
    assert found.item() == pytest.approx(0.0822829 + 2 * 0.0094665, abs=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.5, 4.0))
def test_kl_is_tckd_plus_the_rests_share_times_nckd(seed: int, temperature: float) -> None:
    # Zhao et al. 2022, equation 5, at a single pixel of true class 2.
    student, teacher = random_logits(seed, (1, 4, 1, 1))
    inputs = logit_inputs(student, teacher, target=torch.full((1, 1, 1), 2))
    tckd = make_term("dkd", alpha=1.0, beta=0.0, temperature=temperature)(inputs)
    nckd = make_term("dkd", alpha=0.0, beta=1.0, temperature=temperature)(inputs)
    rest = 1 - (teacher / temperature).softmax(1)[0, 2, 0, 0]
    kl = make_term("kl", temperature=temperature)(inputs)
    assert (tckd + rest * nckd).item() == pytest.approx(kl.item(), rel=1e-9, abs=1e-12)


def test_dkd_stays_finite_where_the_teacher_is_certain() -> None:
    student = torch.tensor([40.0, -40.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    teacher = torch.tensor([-60.0, 60.0, 0.0]).view(1, 3, 1, 1)
    make_term("dkd")(logit_inputs(student, teacher, target=torch.ones(1, 1, 1).long())).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_dist_equals_scipys_correlations(temperature: float) -> None:
    student, teacher = random_logits(5)
    q, p = pixels(student, temperature), pixels(teacher, temperature)
    inter = np.mean([1 - pearsonr(q[i], p[i]).statistic for i in range(len(q))])
    intra = np.mean([1 - pearsonr(q[:, c], p[:, c]).statistic for c in range(q.shape[1])])
    found = make_term("dist", temperature=temperature, inter=1.0, intra=3.0)(logit_inputs(student, teacher))
    assert found.item() == pytest.approx((inter + 3 * intra) * temperature**2, rel=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.9))
def test_dist_is_blind_to_scale_and_shift_of_probabilities_but_kl_is_not(seed: int, share: float) -> None:
    # Mixing with the uniform distribution scales and shifts every probability alike.
    _, teacher = random_logits(seed)
    student = ((1 - share) * teacher.softmax(1) + share / teacher.shape[1]).log()
    inputs = logit_inputs(student, teacher)
    dist, kl = (make_term(name)(inputs).item() for name in ("dist", "kl"))
    assert kl > 1e-3
    assert abs(dist) < 0.01 * kl  # what float32 leaves of it


def test_jaccard_metric_of_two_pixels_worked_by_hand() -> None:
    # Class 0: x = (0.8, 0.4), y = (1, 0): |x| + |y| = 2.2, |x - y| = 0.6: 1 - 0.801 / 1.401.
    # Class 1: x = (0.2, 0.6), y = (0, 1): 1.8 and 0.6: 1 - 0.601 / 1.201.
    logits = torch.cat([logits_of(0.8, 0.2), logits_of(0.4, 0.6)], dim=3)
    expected = ((1 - 0.801 / 1.401) + (1 - 0.601 / 1.201)) / 2
    found = jaccard_metric(logits, torch.tensor([[[0, 1]]]), torch.ones(1, 1, 2, dtype=torch.bool))
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_jaccard_metric_of_hard_answers_is_one_minus_the_iou() -> None:
    generator = torch.Generator().manual_seed(0)
    target, answer = torch.randint(0, 3, (2, 2, 30, 30), generator=generator)
    valid = torch.rand(2, 30, 30, generator=generator) > 0.3
    logits = F.one_hot(answer, 3).movedim(-1, 1) * 100.0
    ious = [
        (((answer == c) & (target == c))[valid].sum() / ((answer == c) | (target == c))[valid].sum()).item()
        for c in range(3)
    ]
    found = jaccard_metric(logits, target, valid)
    assert found.item() == pytest.approx(1 - sum(ious) / 3, abs=1e-5)


def test_jaccard_metric_leaves_out_classes_that_are_absent() -> None:
    logits = torch.cat([logits_of(0.8, 0.1, 0.1), logits_of(0.1, 0.8, 0.1)], dim=3)
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    found = jaccard_metric(logits, torch.tensor([[[0, 1]]]), valid)
    # Classes 0 and 1: |x| + |y| = 1.9, |x - y| = 0.3; class 2 would add 1.
    one_class = 1 - (0.8 + 1e-3) / (1.1 + 1e-3)
    assert found.item() == pytest.approx(one_class, rel=1e-6)


def test_jaccard_term_leaves_out_what_the_teacher_sees_nowhere() -> None:
    # Class 1 has at most 0.5 % of the teacher's: its 1 - 0.006 / 0.201 does not count.
    teacher, student = logits_of(0.995, 0.005), logits_of(0.8, 0.2)
    found = make_term("jaccard")(logit_inputs(student, teacher))
    assert found.item() == pytest.approx(1 - (0.8 + 1e-3) / (0.995 + 1e-3), rel=1e-6)


def test_jaccard_term_softens_the_teacher_and_not_the_student() -> None:
    # T = 2: (0.9, 0.1) becomes (3, 1) / 4, as the square roots are in that proportion.
    found = make_term("jaccard", temperature=2.0)(logit_inputs(logits_of(0.75, 0.25), logits_of(0.9, 0.1)))
    assert found.item() == pytest.approx(0.0, abs=1e-12)


def test_jaccard_term_is_least_at_the_teachers_own_probabilities() -> None:
    # The soft Jaccard 1 - <x,y> / (|x| + |y| - <x,y>) is not: it favours hard answers.
    _, teacher = random_logits(7)
    term = make_term("jaccard")
    at_teacher = term(logit_inputs(teacher, teacher))
    for factor in (0.5, 1.5, 10.0):
        assert term(logit_inputs(teacher * factor, teacher)).item() > at_teacher.item() + 1e-3


def test_labels_and_masks_of_a_finer_size_are_read_at_each_cells_centre() -> None:
    # Stride 4: cell (0, 0)'s centre is pixel 2, everything else there is void or invalid.
    target, valid = torch.full((1, 4, 4), VOID), torch.zeros(1, 4, 4, dtype=torch.bool)
    target[0, 2, 2], valid[0, 2, 2] = 1, True
    inputs = logit_inputs(logits_of(0.5, 0.3, 0.2), logits_of(0.7, 0.2, 0.1), target=target, valid=valid)
    # True class 1: TCKD of (0.2, 0.8) against (0.3, 0.7).
    expected = 0.2 * math.log(0.2 / 0.3) + 0.8 * math.log(0.8 / 0.7)
    assert make_term("dkd", beta=0.0)(inputs).item() == pytest.approx(expected, rel=1e-6)


def test_a_teacher_of_another_stride_is_resized_to_the_student() -> None:
    # One teacher cell over 2 x 2 student cells: the same distribution everywhere.
    student, _ = random_logits(0, (1, 3, 2, 2))
    teacher = logits_of(0.7, 0.2, 0.1)
    found = make_term("kl")(logit_inputs(student, teacher))
    expected = make_term("kl")(logit_inputs(student, teacher.expand(1, 3, 2, 2)))
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(TrainingError, match="student has 2 classes, the teacher 3"):
        make_term("kl")(logit_inputs(logits_of(0.7, 0.3), logits_of(0.7, 0.2, 0.1)))
