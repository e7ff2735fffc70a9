"""Channels that are cut: the right ones, in whole groups, in every network."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from tests.support.tiny_nets import SIZE, answers, tiny_net
from tests.support.tiny_training import tiny_recipe
from training.compression.pruning.channels import prunable_widths, prune_channels, round_width
from training.compression.pruning.importance import IMPORTANCE, add_gradients
from training.compression.pruning.plans import uniform_plans
from training.data.sample import Batch
from training.distillation.module import DistillationModule
from training.errors import TrainingError
from training.models.shapes import cut_to, shapes_of
from training.models.spec import FpnSpec, ModelSpec
from training.run_folder import load_model, write_untrained

HIDDEN = "encoder._blocks.4._depthwise_conv"  # the group that the expanding convolution is in
NETWORKS = {
    "fpn": {},
    "fpn_dense_detail": {"decoder": {"name": "fpn", "width": 8, "dense": True, "detail": 8}},
    "bifpn": {"decoder": {"name": "bifpn", "width": 16, "repeats": 1}},
    "two_branch": {"decoder": {"name": "two_branch", "width": 16}},
    "fcn8s": {"decoder": {"name": "fcn8s", "width": 16, "hidden": 32}},
    "segnet": {"decoder": {"name": "segnet"}},
    "deeplabv3plus": {"decoder": {"name": "deeplabv3plus", "width": 16}},
    "mobilenet_v3": {"encoder": "mobilenet_v3_small"},
    "squeezenet": {"encoder": "squeezenet1_1", "width_multiplier": 1.0},
}


def magnitude() -> object:
    return IMPORTANCE["magnitude"]()


def test_channels_that_do_nothing_go_first_and_leave_the_outputs_as_they_were() -> None:
    model = tiny_net()
    block = model.encoder._blocks[4]
    dead = torch.arange(0, block._expand_conv.out_channels, 2)
    with torch.no_grad():
        block._expand_conv.weight[dead] = 0  # a fresh batch norm leaves zero at zero
    before = answers(model)
    alive = block._expand_conv.out_channels - len(dead)
    prune_channels(model, {HIDDEN: alive}, magnitude(), SIZE)
    assert block._project_conv.in_channels == alive
    for old, new in zip(before, answers(model), strict=True):
        torch.testing.assert_close(new, old, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_every_student_can_be_cut_rebuilt_from_shapes_and_says_the_same(changes: dict[str, object]) -> None:
    model = tiny_net(**changes)
    before = [answer.shape for answer in answers(model)]
    widths = prunable_widths(model, SIZE)
    plan = uniform_plans(widths, 0.5, 8)[-1]
    prune_channels(model, plan, magnitude(), SIZE)
    assert prunable_widths(model, SIZE) == plan
    assert sum(plan.values()) < sum(widths.values())
    assert [answer.shape for answer in answers(model)] == before  # classes and boxes stay

    rebuilt = tiny_net(seed=9, **changes)
    cut_to(rebuilt, shapes_of(model))
    rebuilt.load_state_dict(model.state_dict())
    for one, other in zip(answers(model), answers(rebuilt), strict=True):
        torch.testing.assert_close(other, one)


def test_pruned_run_is_read_back_without_any_pickle(tmp_path: Path) -> None:
    model = tiny_net()
    prune_channels(model, {HIDDEN: 8}, magnitude(), SIZE)
    spec = ModelSpec(
        pretrained=False,
        tasks=("segmentation", "detection"),
        width_multiplier=0.25,
        decoder=FpnSpec(width=16),
    )
    write_untrained(tmp_path, tiny_recipe(tmp_path, tmp_path, model=spec), model, shapes_of(model))
    assert {path.suffix for path in tmp_path.iterdir()} == {".yaml", ".json", ".safetensors"}
    for one, other in zip(answers(model), answers(load_model(tmp_path)[1]), strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=1e-4)


def test_taylor_spares_channels_whose_gradient_is_large_where_magnitude_would_cut_them() -> None:
    model = tiny_net()
    conv = model.encoder._blocks[4]._expand_conv
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        conv.weight.mul_(torch.linspace(1, 2, conv.out_channels)[:, None, None, None])
        conv.weight.grad = conv.weight / conv.weight.square().sum((1, 2, 3), keepdim=True)
        conv.weight.grad[8:] = 0  # only the eight smallest change the loss
    expected = conv.weight[:8].clone()
    twin = copy.deepcopy(model)
    for mine, its in zip(twin.parameters(), model.parameters(), strict=True):
        mine.grad = its.grad.clone()
    prune_channels(twin, {HIDDEN: 8}, IMPORTANCE["taylor"](), SIZE)
    torch.testing.assert_close(twin.encoder._blocks[4]._expand_conv.weight, expected)


def test_taylor_does_not_let_batches_cancel() -> None:
    """Gradients (1, 1, 1) and (-1, 0.5, 1): the first weight matters in both batches, in their sum not."""
    model = torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -3.0, 0.0]]))
    batches = [torch.tensor([1.0, 1.0, 1.0]), torch.tensor([-1.0, 0.5, 1.0])]
    module = SimpleNamespace(model=model, losses=lambda batch: (model(batch).sum(), {}))
    add_gradients(cast(DistillationModule, module), cast(list[Batch], batches))
    assert model.weight.grad is not None
    torch.testing.assert_close(model.weight * model.weight.grad, torch.tensor([[4.0, 4.5, 0.0]]))


def test_bn_scale_looks_at_batch_norm_alone() -> None:
    model = tiny_net()
    block = model.encoder._blocks[4]
    kept = torch.tensor([0, 3, 5, 7, 9, 11, 13, 20])
    with torch.no_grad():
        for norm in (block._bn0, block._bn1):
            norm.weight.fill_(0.1)
            norm.weight[kept] = 5
    expected = block._expand_conv.weight[kept].clone()
    prune_channels(model, {HIDDEN: 8}, IMPORTANCE["bn_scale"](), SIZE)
    torch.testing.assert_close(block._expand_conv.weight, expected)


def test_bn_scale_is_refused_for_a_group_without_batch_norm_that_it_would_leave_whole() -> None:
    """All of this encoder's are."""
    model = tiny_net(encoder="squeezenet1_1", width_multiplier=1.0)
    widths = prunable_widths(model, SIZE)
    squeeze = "encoder.features.3.squeeze"
    with pytest.raises(TrainingError, match=r"encoder\.features\.3\.squeeze.*use `importance: magnitude`"):
        prune_channels(model, {**widths, squeeze: 8}, IMPORTANCE["bn_scale"](), SIZE)
    assert prunable_widths(model, SIZE) == widths
    prune_channels(model, {squeeze: widths[squeeze]}, IMPORTANCE["bn_scale"](), SIZE)  # it stays anyway


@pytest.mark.parametrize(
    ("width", "most", "expected"), [(29, 64, 32), (27, 64, 24), (2, 64, 8), (70, 66, 66)]
)
def test_widths_are_multiples_that_engines_like(width: float, most: int, expected: int) -> None:
    assert round_width(width, most, 8) == expected
