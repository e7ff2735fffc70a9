"""The recipe's losses together: built from a dry run, weighted, logged, learnt."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from pydantic import TypeAdapter
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.training.distillation.cases import VOID
from tests.training.distillation.networks import Toy, frames
from training.distillation.adapters import Adapter, make_adapter, to_common_size
from training.distillation.composite import DistillationLoss
from training.distillation.inputs import DistillInputs
from training.distillation.losses.registry import TERMS
from training.distillation.maps import nearest
from training.distillation.spec import LossEntries
from training.errors import TrainingError
from training.teachers.class_mapping import ClassMapping
from training.teachers.ensemble import AugmentedTeacher
from training.teachers.run import RunTeacher

SIZE = (16, 16)
NECKS = {"student": "neck", "teacher": "neck"}


def build(entries: list[dict], student: nn.Module, teacher: nn.Module) -> DistillationLoss:
    return DistillationLoss(TypeAdapter(LossEntries).validate_python(entries), student, teacher, 3, SIZE)


def run(student: Toy, teacher: Toy, progress: float = 0.0) -> DistillInputs:
    """Run both networks on labelled frames with a box each."""
    images = frames()
    target = torch.randint(0, 3, (2, *SIZE), generator=torch.Generator().manual_seed(0))
    return DistillInputs(
        student(images),
        teacher(images),
        target,
        torch.ones(2, *SIZE, dtype=torch.bool),
        VOID,
        boxes=[torch.tensor([[2.0, 2.0, 9.0, 9.0]])] * 2,
        has_boxes=torch.tensor([True, True]),
        progress=progress,
    )


def step(loss: DistillationLoss, student: Toy, teacher: Toy, progress: float = 0.0) -> tuple:
    return loss(run(student, teacher, progress))


def networks(seed: int = 0) -> tuple[Toy, Toy]:
    """A student of 4 channels at stride 4 and a frozen teacher of 6 at stride 2."""
    torch.manual_seed(seed)
    return Toy(4, 4), Toy(6, 2).eval().requires_grad_(False)


def every_loss() -> list[dict]:
    return [{"name": name, **(NECKS if term.needs_features else {})} for name, term in TERMS.items()]


def test_every_loss_teaches_a_student_of_other_channels_and_stride() -> None:
    student, teacher = networks()
    loss = build(every_loss(), student, teacher)
    total, terms = step(loss, student, teacher)
    total.backward()
    assert list(terms) == list(TERMS)
    assert total.item() == pytest.approx(sum(value.item() for value in terms.values()), rel=1e-5)
    assert student.stem.first.weight.grad.abs().sum() > 0
    assert student.heatmap.weight.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in loss.parameters())


def test_adapters_exist_only_where_channels_differ_and_the_loss_needs_them_equal() -> None:
    student, teacher = networks()
    loss = build(every_loss(), student, teacher)
    adapted = {
        name for name, term in loss.terms.items() if any(isinstance(m, Adapter) for m in term.modules())
    }
    assert adapted == {"cwd", "hint", "cirkd_memory", "mgd", "fgd"}
    twin = Toy(4, 2)
    same = build(every_loss(), student, twin)
    assert not any(isinstance(module, Adapter) for module in same.modules())
    assert make_adapter(4, 4) is None


def test_common_size_is_the_coarser_and_equal_maps_are_left_alone() -> None:
    fine, coarse = torch.zeros(1, 2, 8, 10), torch.zeros(1, 3, 4, 5)
    a, b = to_common_size(fine, coarse, (32, 40))
    assert a.shape == (1, 2, 4, 5)
    assert b is coarse


def test_maps_of_a_frame_that_the_coarser_stride_does_not_divide_are_compared_in_place() -> None:
    """360 rows are 90 cells of 4 pixels, and 12 of 32 pixels, which end 24 pixels below the frame."""
    frame = (360, 480)
    rows = ((torch.arange(90) + 0.5) * 4)[:, None].expand(1, 1, 90, 120)  # each cell's centre in pixels
    fine, _ = to_common_size(rows, torch.zeros(1, 1, 12, 15), frame)
    centres = (torch.arange(12) + 0.5) * 32
    torch.testing.assert_close(fine[0, 0, :11, 7], centres[:11])
    assert fine[0, 0, 11, 7] == 358  # the centre at 368 lies outside: the last row there is
    pixels = torch.arange(360)[:, None].expand(1, 360, 480)
    torch.testing.assert_close(nearest(pixels, (12, 15))[0, :11, 7], centres[:11].long())
    torch.testing.assert_close(nearest(nearest(pixels, (90, 120)), frame)[0, ::4, 0], pixels[0, 2::4, 0])


def test_adapters_learn_with_the_student_and_are_saved_with_the_loss_alone() -> None:
    student, teacher = networks()
    loss = build([{"name": "hint", **NECKS}], student, teacher)
    assert {key.split(".")[0] for key in loss.state_dict()} == {"terms"}
    optimizer = torch.optim.Adam([*student.parameters(), *loss.parameters()], lr=0.02)
    values = []
    for _ in range(30):
        total, _ = step(loss, student, teacher)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]


def test_building_leaves_the_networks_as_they_were() -> None:
    student, teacher = networks()
    student.head.eval()
    student_state, modes = copy.deepcopy(student.state_dict()), [m.training for m in student.modules()]
    loss = build([{"name": "cwd", **NECKS}], student, teacher)
    assert [m.training for m in student.modules()] == modes
    assert all(torch.equal(value, student.state_dict()[key]) for key, value in student_state.items())
    loss.close()
    assert all(len(m._forward_hooks) == 0 for net in (student, teacher) for m in net.modules())


def test_total_follows_the_weights_schedules() -> None:
    student, teacher = networks()
    entries = [{"name": "kl", "weight": {"start": 2.0, "end": 0.0}}, {"name": "mse", "weight": 0.5}]
    loss = build(entries, student.eval(), teacher)
    for progress, weight in ((0.0, 2.0), (0.25, 1.5)):
        total, terms = step(loss, student, teacher, progress)
        assert total.item() == pytest.approx(
            weight * terms["kl"].item() + 0.5 * terms["mse"].item(), rel=1e-6
        )
    total, terms = step(loss, student, teacher, 1.0)
    assert list(terms) == ["mse"]  # a weight of 0 costs nothing


def test_a_term_with_parameters_is_computed_at_weight_zero_for_ddp() -> None:
    student, teacher = networks()
    loss = build([{"name": "hint", "weight": 0.0, **NECKS}], student, teacher)
    total, terms = step(loss, student, teacher)
    total.backward()
    assert total.item() == 0 < terms["hint"].item()
    assert all(p.grad is not None for p in loss.parameters())


def test_entries_of_one_name_are_told_apart() -> None:
    student, teacher = networks()
    loss = build([{"name": "cwd"}, {"name": "kl"}, {"name": "cwd", **NECKS}], student, teacher)
    assert list(step(loss, student, teacher)[1]) == ["cwd", "kl", "cwd_2"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "heatmap"}, r"distillation.1 \(heatmap\): the teacher gives no detection"),
        (
            {"name": "hint", "student": "nekc", "teacher": "neck"},
            "the student has no module 'nekc': did you mean neck",
        ),
        (
            {"name": "hint", "student": "neck", "teacher": "spare"},
            r"distillation.1 \(hint\): the teacher does not run 'spare'",
        ),
        ({"name": "kl", "class_weights": [1, 2]}, "class_weights: 2 numbers for 3 classes"),
    ],
)
def test_what_a_network_lacks_is_named_and_no_hook_is_left(entry: dict, message: str) -> None:
    student, teacher = Toy(4, 4), Toy(6, 2, detects=False)
    with pytest.raises(TrainingError, match=message):
        build([{"name": "cwd", **NECKS}, entry], student, teacher)
    assert all(len(m._forward_hooks) == 0 for net in (student, teacher) for m in net.modules())


def test_a_teacher_that_did_not_run_is_named_when_its_maps_are_needed() -> None:
    student, teacher = networks()
    loss = build([{"name": "hint", **NECKS}], student, teacher)
    outputs = student(frames())
    inputs = DistillInputs(outputs, outputs, torch.zeros(2, *SIZE).long(), torch.ones(2, *SIZE).bool(), VOID)
    with pytest.raises(TrainingError, match="the teacher's map neck is missing in this step"):
        loss(inputs)


@pytest.mark.parametrize(("scales", "flip"), [((1.0,), True), ((1.0, 2.0), False)])
def test_maps_of_a_teacher_that_sees_each_frame_several_times_are_refused(scales, flip: bool) -> None:
    """The map kept would be the last view's: mirrored, and no student could come near it."""
    student, network = networks()
    every = ClassMapping(((0,), (1,), (2,)))
    teacher = AugmentedTeacher(RunTeacher(network, every, None, {}), scales, flip)
    entry = {"name": "hint", "student": "neck", "teacher": "teacher.model.neck"}
    with pytest.raises(TrainingError, match=r"\(hint\): the teacher runs 'teacher.model.neck' several .*tta"):
        build([entry], student, teacher)
    assert all(len(m._forward_hooks) == 0 for net in (student, teacher) for m in net.modules())
    build([{**entry, "student": "logits", "teacher": "logits"}, {"name": "kl"}], student, teacher).close()


def test_losses_are_computed_in_single_precision_under_autocast() -> None:
    student, teacher = networks()
    loss = build(
        [{"name": "kl"}, {"name": "skd", **NECKS}, {"name": "hint", **NECKS}], student.eval(), teacher
    )
    exact, _ = step(loss.eval(), student, teacher)
    inputs = run(student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = loss(inputs)
    assert torch.equal(total, exact)
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = step(loss, student, teacher)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=0.05)


def test_a_copy_of_the_loss_for_averaging_leaves_the_original_working() -> None:
    student, teacher = networks()
    loss = build([{"name": "hint", **NECKS}], student, teacher)
    copied = copy.deepcopy(loss)
    assert step(loss, student, teacher)[1]["hint"].item() > 0
    assert copied.state_dict().keys() == loss.state_dict().keys()


def test_unlabelled_frames_are_distilled() -> None:
    student, teacher = networks()
    loss = build(every_loss(), student, teacher)
    inputs = run(student, teacher)
    unlabelled = replace(inputs, target=torch.full_like(inputs.target, VOID), boxes=(), has_boxes=None)
    _, terms = loss(unlabelled)
    assert all(value.isfinite() for value in terms.values())
    zero = {name for name, value in terms.items() if value == 0}
    assert zero <= {"pseudo_labels"}  # the toy teacher is nowhere sure enough


class Step(nn.Module):
    """What DDP wraps in a training: the student and the losses in one forward pass."""

    def __init__(self, student: Toy, teacher: Toy, loss: DistillationLoss) -> None:
        super().__init__()
        self.student, self.loss = student, loss
        self.teacher = (teacher,)

    def forward(self, valid: bool) -> torch.Tensor:
        inputs = run(self.student, self.teacher[0])
        total, _ = self.loss(replace(inputs, valid=inputs.valid & valid))
        return total


def test_ddp_finds_every_parameter_used_also_where_nothing_is_valid(tmp_path) -> None:
    student, teacher = networks()
    loss = build(every_loss(), student, teacher)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(Step(student, teacher, loss))
        for valid in (True, False, True):  # DDP complains of an unused parameter in the next step
            total = wrapped(valid)
            total.backward()
            assert (total > 0) == valid
    finally:
        dist.destroy_process_group()
