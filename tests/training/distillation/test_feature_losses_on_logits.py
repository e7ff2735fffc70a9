"""Feature losses on `logits`: the teacher's are log-probabilities, the student's are not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tests.training.distillation.cases import CLASSES, OPTIONS, make_term, random_inputs
from tests.training.distillation.networks import Toy, frames
from training.distillation.composite import DistillationLoss
from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import LOGITS, FeatureTerm, Site, Term
from training.distillation.losses.registry import TERMS
from training.distillation.maps import class_log_probs
from training.distillation.spec import LossEntries
from training.models.outputs import Outputs
from training.teachers.class_mapping import ClassMapping
from training.teachers.run import RunTeacher

ON_MAPS = [name for name, kind in TERMS.items() if issubclass(kind, FeatureTerm)]
KNOWN = torch.tensor([True, False, True, True])


def on_logits(name: str) -> Term:
    """The loss between both sides' logits; what would generate one map from the other takes it as it is."""
    kind = TERMS[name]
    spec = kind.Spec(**OPTIONS.get(name, {}), student=LOGITS, teacher=LOGITS)
    term = kind(spec, Site(CLASSES, CLASSES)).double()
    if name == "mgd":
        term.generation = nn.Identity()
    return term


def taught(student: Tensor, teacher: Tensor, known: Tensor | None = None) -> DistillInputs:
    inputs = random_inputs()
    return replace(inputs, student=Outputs(student), teacher=Outputs(teacher), known=known)


def among_known(logits: Tensor) -> Tensor:
    """What a teacher of the `KNOWN` classes says that is as good as these logits."""
    return logits.masked_fill(~KNOWN[:, None, None], -100.0).log_softmax(1)


@pytest.mark.parametrize(
    ("answer", "known"), [(lambda z: z.log_softmax(1), None), (among_known, KNOWN)], ids=["all", "some"]
)
@pytest.mark.parametrize("name", ON_MAPS)
def test_nothing_is_lost_where_the_student_says_what_the_teacher_says(
    name: str, answer: Callable[[Tensor], Tensor], known: Tensor | None
) -> None:
    logits = 5 * random_inputs().student.logits
    assert on_logits(name)(taught(logits, answer(logits), known)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ON_MAPS)
def test_an_offset_of_all_classes_at_a_pixel_changes_nothing_at_any_size(name: str) -> None:
    logits, other = random_inputs().student.logits, random_inputs().teacher.logits
    fine = other.repeat_interleave(2, 2).repeat_interleave(2, 3)
    offset = torch.randn(2, 1, *fine.shape[-2:], generator=torch.Generator().manual_seed(1)).double()
    for student, teacher in ((fine, logits), (logits, fine)):
        shifted = [x + 9 * offset[..., : x.shape[-2], : x.shape[-1]] for x in (student, teacher)]
        torch.manual_seed(0)
        expected = on_logits(name)(taught(student, teacher))
        torch.manual_seed(0)
        torch.testing.assert_close(on_logits(name)(taught(*shifted)), expected)


@pytest.mark.parametrize("name", ON_MAPS)
def test_a_student_that_says_something_else_learns_through_the_normalization(name: str) -> None:
    inputs = random_inputs()
    logits = inputs.student.logits.clone().requires_grad_()
    loss = on_logits(name)(taught(logits, inputs.teacher.logits.log_softmax(1)))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() > 1e-4
    assert gradient.abs().sum() > 0
    torch.testing.assert_close(gradient.sum(1), torch.zeros_like(gradient[:, 0]))  # an offset is not learnt


def test_the_same_network_as_teacher_and_student_has_nothing_to_learn() -> None:
    torch.manual_seed(0)
    network = Toy(4, 4).eval()
    teacher = RunTeacher(network, ClassMapping(((0,), (1,), (2,))), None, {})
    paths = {"student": LOGITS, "teacher": LOGITS}
    names = [name for name in ON_MAPS if name != "mgd"]
    entries = TypeAdapter(LossEntries).validate_python([{"name": name, **paths} for name in names])
    loss = DistillationLoss(entries, network, teacher, 3, (16, 16))
    images = frames()
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    inputs = DistillInputs(network(images), teacher(images), torch.zeros(2, 16, 16).long(), valid, 255)
    _, terms = loss(inputs)
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        dict.fromkeys(names, 0.0), abs=1e-6
    )


def test_log_probabilities_among_known_classes_by_hand() -> None:
    logits = torch.tensor([1.0, 7.0, 3.0, 4.0]).log().view(1, 4, 1, 1)
    found = class_log_probs(logits, KNOWN).flatten()
    torch.testing.assert_close(found, torch.tensor([1 / 8, 1.0, 3 / 8, 4 / 8]).log())


def test_a_feature_map_of_the_student_is_compared_as_it_is() -> None:
    inputs = random_inputs()
    features = {"neck": inputs.student.logits}
    found = make_term("hint", teacher=LOGITS)(replace(inputs, student_features=features))
    expected = inputs.student.logits - inputs.teacher.logits.log_softmax(1)
    valid = inputs.valid[:, ::2, ::2]
    assert found.item() == pytest.approx(expected.square().mean(1)[valid].mean().item(), rel=1e-9)
