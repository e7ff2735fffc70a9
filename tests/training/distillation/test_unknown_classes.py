"""A class that the teacher does not know: the number in its answer there must not be learnt."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.training.distillation.cases import (
    CLASSES,
    OPTIONS,
    make_term,
    random_inputs,
    student_tensors,
    used_tensor,
    with_student,
)
from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Site, Term
from training.distillation.losses.registry import TERMS
from training.errors import TrainingError
from training.models.outputs import DetectionMaps, Outputs
from training.teachers.log_probs import LOG_ZERO

KNOWN = torch.tensor([True, True, True, False])
KNOWN_THINGS = torch.tensor([True, False])
ON_DETECTIONS = ["heatmap", "localization"]


def term_of(name: str) -> Term:
    """The loss, on logits if it compares maps."""
    kind = TERMS[name]
    if not kind.needs_features:
        return make_term(name)
    spec = kind.Spec(**OPTIONS.get(name, {}), student="logits", teacher="logits")
    return kind(spec, Site(CLASSES, CLASSES)).double()


def inputs_with(logit: float, score: float) -> DistillInputs:
    """The teacher says `logit` of the last class and `score` (a logit, too) of the last thing class."""
    inputs = random_inputs()
    logits, maps = inputs.teacher.logits.clone(), inputs.teacher.detection
    logits[:, -1] = logit
    heat = maps.heatmap.clone()
    heat[:, -1] = score
    return replace(
        inputs,
        teacher=Outputs(logits.log_softmax(1), DetectionMaps(heat, maps.size, 2)),
        valid=inputs.valid & (inputs.target != CLASSES - 1),
        known=KNOWN,
        known_things=KNOWN_THINGS,
    )


def loss_and_gradient(name: str, inputs: DistillInputs) -> tuple[Tensor, Tensor]:
    """The loss and its gradient on the student's logits, or on its heatmap or box distances."""
    torch.manual_seed(0)
    used = "logits" if TERMS[name].needs_features else used_tensor(make_term(name))
    tensor = student_tensors(inputs)[used].clone().requires_grad_()
    loss = term_of(name)(with_student(inputs, {**student_tensors(inputs), used: tensor}))
    return loss.detach(), torch.autograd.grad(loss, tensor)[0]


@pytest.mark.parametrize("name", list(TERMS))
def test_what_stands_for_unknown_changes_nothing(name: str) -> None:
    loss, gradient = loss_and_gradient(name, inputs_with(LOG_ZERO, -9.2))
    other_loss, other_gradient = loss_and_gradient(name, inputs_with(1.5 * LOG_ZERO, 3.0))
    torch.testing.assert_close(other_loss, loss)
    torch.testing.assert_close(other_gradient, gradient)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", ["mse", "cwd", "hint", "attention", "skd", "ifvd", "cirkd", "heatmap"])
def test_losses_that_compare_logits_leave_an_unknown_class_to_the_labels(name: str) -> None:
    _, gradient = loss_and_gradient(name, inputs_with(LOG_ZERO, -9.2))
    assert gradient[:, -1].abs().max() == 0
    assert gradient[:, :-1].abs().max() > 0


@pytest.mark.parametrize("form", ["bernoulli", "softmax"])
def test_a_heatmap_with_an_unknown_class_is_that_of_the_known_ones(form: str) -> None:
    inputs = inputs_with(LOG_ZERO, -9.2)
    student, teacher = (
        Outputs(None, DetectionMaps(x.detection.heatmap[:, :1], x.detection.size, 2))
        for x in (inputs.student, inputs.teacher)
    )
    alone = replace(inputs, student=student, teacher=teacher, known_things=None)
    term = make_term("heatmap", form=form)
    torch.testing.assert_close(term(inputs), term(alone))


def test_mse_is_that_of_the_known_classes() -> None:
    inputs = inputs_with(LOG_ZERO, 0.0)
    student, teacher = (Outputs(x.logits[:, :-1]) for x in (inputs.student, inputs.teacher))
    alone = replace(inputs, student=student, teacher=teacher, known=None)
    torch.testing.assert_close(make_term("mse")(inputs), make_term("mse")(alone))


@pytest.mark.parametrize("name", ["soft_cross_entropy", "kl", "pseudo_labels", "jaccard"])
def test_losses_on_probabilities_teach_that_nothing_else_is_of_an_unknown_class(name: str) -> None:
    """Without labels nobody else would: the student's answers of that class would be at random."""
    _, gradient = loss_and_gradient(name, inputs_with(LOG_ZERO, -9.2))
    assert gradient[:, -1].sum() > 0


@pytest.mark.parametrize("name", ON_DETECTIONS)
def test_a_teacher_without_any_known_thing_is_refused(name: str) -> None:
    inputs = replace(inputs_with(LOG_ZERO, -9.2), known_things=torch.zeros(2, dtype=torch.bool))
    with pytest.raises(TrainingError, match="the teacher knows no thing class"):
        make_term(name)(inputs)


@pytest.mark.parametrize("name", ON_DETECTIONS)
def test_detections_count_where_the_segmentation_does_not(name: str) -> None:
    inputs = random_inputs()
    everywhere, nowhere = torch.ones_like(inputs.valid), torch.zeros_like(inputs.valid)
    wanted = make_term(name)(replace(inputs, valid=everywhere))
    assert wanted > 0
    torch.testing.assert_close(make_term(name)(replace(inputs, valid=nowhere, seen=everywhere)), wanted)
    assert make_term(name)(replace(inputs, valid=everywhere, seen=nowhere)) == 0
