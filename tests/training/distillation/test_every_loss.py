"""What holds for every distillation loss: gradient, masks, equality, order of frames and classes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.distillation.cases import (
    PATH,
    make_term,
    random_inputs,
    student_tensors,
    used_tensor,
    with_student,
)
from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import Term
from training.distillation.losses.registry import TERMS
from training.models.outputs import DetectionMaps, Outputs

ALL = list(TERMS)
NOT_ZERO_AT_EQUALITY = {"soft_cross_entropy", "pseudo_labels", "mgd"}  # entropy, CE to argmax, a generator
ON_LOGITS = ["pseudo_labels", "soft_cross_entropy", "kl", "mse", "dkd", "dist", "jaccard"]


def filled(name: str, inputs: DistillInputs) -> Term:
    """The loss some steps on: no layer at zero any more, and a memory of `inputs` that takes nothing more."""
    torch.manual_seed(0)
    term = make_term(name)
    for parameter in term.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter)
    term(inputs)
    return term.eval()


def of_frames(inputs: DistillInputs, chosen: slice | list[int]) -> DistillInputs:
    """The chosen ones of the two frames, in that order."""

    def pick(outputs: Outputs) -> Outputs:
        maps = outputs.detection
        return Outputs(outputs.logits[chosen], DetectionMaps(maps.heatmap[chosen], maps.size[chosen], 2))

    return DistillInputs(
        pick(inputs.student),
        pick(inputs.teacher),
        inputs.target[chosen],
        inputs.valid[chosen],
        inputs.void_id,
        [inputs.boxes[i] for i in torch.arange(2)[chosen].tolist()],
        inputs.has_boxes[chosen],
        {PATH: inputs.student_features[PATH][chosen]},
        {PATH: inputs.teacher_features[PATH][chosen]},
    )


def invalid_cells(inputs: DistillInputs) -> torch.Tensor:
    return ~inputs.valid[:, None, ::2, ::2]


@pytest.mark.parametrize("name", ALL)
def test_gradient_is_the_numerical_one(name: str) -> None:
    inputs = random_inputs()
    term = filled(name, inputs)
    used = used_tensor(term)

    def loss(tensor: torch.Tensor) -> torch.Tensor:
        return term(with_student(inputs, {**student_tensors(inputs), used: tensor}))

    tensor = student_tensors(inputs)[used].clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (tensor,))
    assert torch.autograd.grad(loss(tensor), tensor)[0].abs().max() > 0


@pytest.mark.parametrize("name", ALL)
def test_values_at_invalid_cells_change_nothing(name: str) -> None:
    inputs = random_inputs()
    term = filled(name, inputs)
    expected = term(inputs)
    noise = torch.where(invalid_cells(inputs), 7.0, 0.0)
    student = {key: value + noise for key, value in student_tensors(inputs).items()}
    teacher = Outputs(
        inputs.teacher.logits + noise,
        DetectionMaps(inputs.teacher.detection.heatmap + noise, inputs.teacher.detection.size + noise, 2),
    )
    changed = replace(
        with_student(inputs, student),
        teacher=teacher,
        teacher_features={PATH: inputs.teacher_features[PATH] + noise},
    )
    torch.testing.assert_close(term(changed), expected)


@pytest.mark.parametrize("name", ALL)
def test_no_gradient_reaches_the_teacher(name: str) -> None:
    inputs = random_inputs()
    detection = inputs.teacher.detection
    tensors = [inputs.teacher.logits, detection.heatmap, detection.size, inputs.teacher_features[PATH]]
    mine = student_tensors(inputs)
    for tensor in [*tensors, *mine.values()]:
        tensor.requires_grad_()
    make_term(name)(inputs).backward()
    assert all(tensor.grad is None for tensor in tensors)
    assert any(tensor.grad is not None for tensor in mine.values())


@pytest.mark.parametrize("name", ALL)
def test_nothing_valid_gives_zero_and_a_zero_gradient(name: str) -> None:
    inputs = random_inputs()
    inputs = replace(inputs, valid=torch.zeros_like(inputs.valid))
    term = make_term(name)
    tensor = student_tensors(inputs)[used_tensor(term)].requires_grad_()
    loss = term(inputs)
    loss.backward()
    assert loss.item() == 0
    assert tensor.grad is not None
    assert torch.equal(tensor.grad, torch.zeros_like(tensor))
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in term.parameters())


@pytest.mark.parametrize("name", ALL)
def test_a_frame_without_valid_pixels_might_as_well_not_be_there(name: str) -> None:
    inputs = random_inputs()
    masked = replace(inputs, valid=inputs.valid & torch.tensor([False, True])[:, None, None])
    alone = of_frames(inputs, slice(1, 2))
    torch.manual_seed(0)
    found = make_term(name)(masked)
    torch.manual_seed(0)
    torch.testing.assert_close(found, make_term(name)(alone))


@pytest.mark.parametrize("name", [name for name in ALL if name not in NOT_ZERO_AT_EQUALITY])
def test_zero_where_student_equals_teacher_and_only_there(name: str) -> None:
    inputs = random_inputs()
    same = replace(inputs, student=inputs.teacher, student_features=inputs.teacher_features)
    assert make_term(name)(same).item() == pytest.approx(0, abs=1e-6)
    assert make_term(name)(inputs).item() > 1e-4


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_order_of_frames_does_not_matter(name: str, seed: int) -> None:
    inputs = random_inputs(seed)
    term = filled(name, inputs)
    found = term(inputs)
    assert found.item() >= -1e-12
    torch.testing.assert_close(term(of_frames(inputs, [1, 0])), found)


@pytest.mark.parametrize("name", ON_LOGITS)
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_order_of_classes_does_not_matter_and_softmax_sees_no_offset(name: str, seed: int) -> None:
    """But for pseudo-labels, which go by probabilities as they are: their teacher gets none."""
    inputs = random_inputs(seed)
    term = make_term(name)
    order = torch.randperm(inputs.student.logits.shape[1], generator=torch.Generator().manual_seed(seed))
    place = order.argsort()
    labelled = inputs.target != inputs.void_id
    target = torch.where(labelled, place[inputs.target.clamp(max=len(place) - 1)], inputs.target)
    turned = replace(
        inputs,
        student=Outputs(inputs.student.logits[:, order] + 3.0),
        teacher=Outputs(inputs.teacher.logits[:, order] - (0.0 if name == "pseudo_labels" else 2.0)),
        target=target,
    )
    torch.testing.assert_close(term(turned), term(inputs))


@pytest.mark.parametrize("name", ALL)
def test_half_precision_maps_are_compared_in_single(name: str) -> None:
    inputs = random_inputs()
    half = {key: value.bfloat16() for key, value in student_tensors(inputs).items()}
    inputs = replace(
        with_student(inputs, half), teacher_features={PATH: inputs.teacher_features[PATH].float()}
    )
    teacher = inputs.teacher
    maps = DetectionMaps(teacher.detection.heatmap.float(), teacher.detection.size.float(), 2)
    inputs = replace(inputs, teacher=Outputs(teacher.logits.float(), maps))
    torch.manual_seed(0)
    loss = make_term(name).float()(inputs)
    torch.manual_seed(0)
    exact = make_term(name)(random_inputs())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
