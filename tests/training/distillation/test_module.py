"""What a training step gives to the distillation losses: which pixels count, and what the teacher knows."""

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.tiny_nets import BOTH, tiny_net
from tests.support.tiny_training import SIZE, tiny_recipe, write_color_blocks
from tests.training.teachers.fakes import FakeTeacher
from training.data.answers import Answers
from training.data.class_sets import CAMVID, class_set
from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.data.source_spec import ImagesSpec
from training.data.spec import AugmentSpec, DataSpec
from training.distillation.inputs import DistillInputs
from training.distillation.module import DistillationModule, start_model
from training.models.spec import FpnSpec, ModelSpec
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.cache.codes import encode_log_probs
from training.teachers.cache.data_module import TaughtDataModule
from training.teachers.cache.recall import Recall
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.log_probs import LOG_ZERO

CLASSES = len(CAMVID)
THINGS = sum(item.kind == "thing" for item in CAMVID)
VOID = class_set("camvid").void_id


class Recorder(nn.Module):
    """Stands for the losses and keeps what they were given."""

    def forward(self, inputs: DistillInputs) -> tuple[Tensor, dict[str, Tensor]]:
        self.inputs = inputs
        return torch.zeros(()), {}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., DistillInputs]:
    """What the losses get of a batch and a teacher, after some of 10 steps."""
    folder = write_color_blocks(tmp_path_factory.mktemp("blocks") / "train", 4)
    spec = ModelSpec(encoder="mobilenet_v3_small", pretrained=False, decoder=FpnSpec(width=16))
    recipe = tiny_recipe(folder, folder, model=spec, teacher={"run": "any"})
    model = start_model(recipe, class_set("camvid"))

    def make(batch: Batch, teacher: Teacher | Recall, steps: int = 0) -> DistillInputs:
        module = DistillationModule(recipe, class_set("camvid"), model, torch.ones(CLASSES), 10, teacher)
        module._trainer = SimpleNamespace(global_step=steps)
        module.distillation = Recorder()
        module.losses(batch)
        return module.distillation.inputs

    return make


def module_of(freeze_norm: bool = False, **optimizer: object) -> DistillationModule:
    """Of 20 steps, a tiny network of both tasks, without a teacher."""
    spec = {"epochs": 2, "batch": 4, "precision": "32", **optimizer}
    model = ModelSpec(pretrained=False, tasks=BOTH, freeze_norm=freeze_norm)
    recipe = tiny_recipe(Path("none"), Path("none"), model=model, optimizer=spec)
    return DistillationModule(recipe, class_set("camvid"), tiny_net(), torch.ones(CLASSES), 20, None)


@pytest.mark.parametrize(
    ("schedule", "half"),
    [({"schedule": "cosine"}, 0.5), ({"schedule": "poly", "power": 0.9}, 0.5**0.9)],
    ids=["cosine", "poly"],
)
def test_the_learning_rate_rises_and_falls_step_by_step(schedule: dict[str, object], half: float) -> None:
    plan = module_of(lr=0.1, warmup_steps=4, **schedule).configure_optimizers()
    optimizer, scheduler = plan["optimizer"], plan["lr_scheduler"]["scheduler"]
    assert plan["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx([0.025] * 2)
    assert 0.04 < rates[1][0] < 0.05, "half warm, and hardly any decay yet"
    assert max(rates) == rates[3]
    assert rates[10] == pytest.approx([0.1 * half] * 2)
    assert 0 < rates[19][0] < 0.01


def test_norms_and_biases_have_no_weight_decay() -> None:
    module = module_of(weight_decay=0.3)
    optimizer = module.configure_optimizers()["optimizer"]
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    free = {id(p) for norm in norms for p in norm.parameters()}
    free |= {id(p) for name, p in module.named_parameters() if name.endswith(".bias")}
    assert norms
    assert {name: decay[id(p)] for name, p in module.named_parameters()} == {
        name: 0.0 if id(p) in free else 0.3 for name, p in module.named_parameters()
    }


def test_what_a_step_draws_depends_on_seed_epoch_batch_and_process_alone() -> None:
    module = module_of()

    def drawn(seed: int, epoch: int, index: int, rank: int) -> float:
        module.recipe = module.recipe.model_copy(update={"seed": seed})
        module._trainer = SimpleNamespace(current_epoch=epoch, global_rank=rank)
        module.on_train_batch_start(batch_of(torch.zeros(1, *SIZE).long()), index)
        return float(torch.rand(()))

    places = list(itertools.product((3, 4), (0, 1), (0, 1), (0, 1)))
    first = [drawn(*place) for place in places]
    assert len(set(first)) == len(places)
    assert [drawn(*place) for place in places] == first


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_norms_keep_their_statistics_and_learn_all_the_same(frozen: bool) -> None:
    module = module_of(freeze_norm=frozen).train()
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    module.on_train_epoch_start()
    module(torch.rand(2, 3, *SIZE) * 255).logits.sum().backward()
    changed = [not torch.equal(norm.running_mean, old) for norm, old in zip(norms, before, strict=True)]
    assert any(changed) != frozen
    assert any(norm.weight.grad is not None for norm in norms)


def test_validation_is_in_full_precision_even_where_training_is_not() -> None:
    module, seen = module_of(), []
    module.model.register_forward_hook(lambda *answer: seen.append(answer[-1].logits.dtype))
    module.on_validation_epoch_start()
    with torch.autocast("cpu", torch.bfloat16):
        module.validation_step(batch_of(torch.zeros(1, *SIZE).long()), 0)
    assert seen == [torch.float32]


def batch_of(masks: Tensor, **changes: object) -> Batch:
    """One grey frame for each mask [N,H,W]."""
    count = len(masks)
    empty = [torch.zeros(0, 4)] * count, [torch.zeros(0).long()] * count
    images = torch.full((count, 3, *masks.shape[1:]), 100, dtype=torch.uint8)
    return Batch(images, masks, *empty, torch.ones(count).bool(), torch.zeros(count).bool(), **changes)


def half_other(share: float) -> Tensor:
    """Log-probabilities [1,C,h,w] of a teacher sure of class 0, of which the right half has but `share`."""
    logits = torch.full((1, CLASSES, SIZE[0] // 4, SIZE[1] // 4), LOG_ZERO)
    logits[:, 0] = 0.0
    logits[:, 0, :, SIZE[1] // 8 :] = torch.tensor(share).log()
    return logits


@pytest.mark.parametrize(("share", "counts"), [(0.01, False), (0.4, False), (0.6, True)])
@pytest.mark.parametrize("cached", [False, True])
def test_what_the_teacher_holds_for_none_of_the_classes_is_not_distilled(
    given: Callable[..., DistillInputs], share: float, counts: bool, cached: bool
) -> None:
    said, known = half_other(share), [True] * CLASSES
    batch = batch_of(torch.zeros(1, *SIZE).long())
    teacher: Teacher | Recall = FakeTeacher(lambda _: TeacherOutputs(said), known)
    if cached:
        batch.answers = Answers(torch.ones(1, *said.shape[2:]).bool(), encode_log_probs(said))
        teacher = Recall(torch.tensor(known), None, 4)
    valid = given(batch, teacher).valid
    assert valid[..., : SIZE[1] // 2].all()
    assert valid[..., SIZE[1] // 2 :].all() == counts
    assert valid[..., SIZE[1] // 2 :].any() == counts


def test_where_a_cached_teacher_has_no_answer_nothing_is_distilled(
    given: Callable[..., DistillInputs],
) -> None:
    said = half_other(0.9)
    answered = torch.ones(1, *said.shape[2:]).bool()
    answered[..., : SIZE[1] // 8] = False
    batch = batch_of(torch.zeros(1, *SIZE).long(), answers=Answers(answered, encode_log_probs(said)))
    inputs = given(batch, Recall(torch.ones(CLASSES).bool(), None, 4))
    for counts in (inputs.valid, inputs.seen):
        assert not counts[..., : SIZE[1] // 2].any()
        assert counts[..., SIZE[1] // 2 :].all()


@pytest.mark.parametrize(("steps", "progress"), [(0, 0.0), (4, 0.4), (10, 1.0), (12, 1.0)])
def test_schedules_of_losses_end_with_the_training(
    given: Callable[..., DistillInputs], steps: int, progress: float
) -> None:
    teacher = FakeTeacher(lambda _: TeacherOutputs(half_other(0.9)), [True] * CLASSES)
    inputs = given(batch_of(torch.zeros(1, *SIZE).long()), teacher, steps)
    assert inputs.progress == pytest.approx(progress)


def test_losses_are_told_what_the_teacher_knows(given: Callable[..., DistillInputs]) -> None:
    known = [True] * (CLASSES - 1) + [False]
    things = [False] + [True] * (THINGS - 1)
    teacher = FakeTeacher(lambda _: TeacherOutputs(half_other(0.9)), known, things)
    masks = torch.zeros(1, *SIZE).long()
    masks[:, 3] = CLASSES - 1
    masks[:, 5] = VOID
    inputs = given(batch_of(masks), teacher)
    assert (inputs.known.tolist(), inputs.known_things.tolist()) == (known, things)
    assert not inputs.valid[:, [3, 5]].any()
    assert inputs.valid.sum() == (SIZE[0] - 2) * SIZE[1]
    assert inputs.seen[:, 3].all(), "what a segmentation does not know its detector may"
    assert not inputs.seen[:, 5].any()


@pytest.mark.parametrize("cached", [False, True])
def test_padding_of_unlabelled_frames_is_not_distilled(
    given: Callable[..., DistillInputs], tmp_path: Path, cached: bool
) -> None:
    """Small frames in a large crop, one of them letterboxed: what is grey is nobody's."""
    for name, size in (("wide", (32, 96)), ("whole", SIZE)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((*size, 3), 200, np.uint8))
    source = ImagesSpec(name="drive", path=tmp_path)
    augment = AugmentSpec(crop=SIZE, scale=(0.6, 0.8), color=0.0, blur=0.0)
    spec = DataSpec(train=[source], val=[source], size=SIZE, resize="letterbox", augment=augment, workers=0)
    said = torch.zeros(2, CLASSES, SIZE[0] // 4, SIZE[1] // 4).log_softmax(1)
    teacher = FakeTeacher(lambda images: TeacherOutputs(said[: len(images)]), [True] * CLASSES)
    data = TaughtDataModule(spec, 2, 5) if cached else SampleDataModule(spec, 2, 5)
    asked: Teacher | Recall = teacher
    if isinstance(data, TaughtDataModule):
        asked = data.learn_from(CachedTeacher(teacher, "fake", tmp_path / "cache", 10**9, {}), 4, 4)
        data.prepare_data()
    (batch,) = data.train_dataloader()
    valid, own = given(batch, asked).valid, (batch.images == 200).all(1)
    assert not valid[~own].any()
    assert 0.1 < own.float().mean() < 0.6
    if cached:  # by the answers' cells: those that touch the border are out
        assert valid.sum() > 0.8 * own.sum()
    else:
        assert torch.equal(valid, own)
