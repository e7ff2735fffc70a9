"""Single weights that go, and that they do not come back."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from training.compression.pruning.masks import keep_zeros, prune_2_4, prune_by_layer, prune_global, zero_share


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 6, 3), nn.Conv2d(6, 4, 1))
    with torch.no_grad():
        net[1].weight.mul_(100)  # no threshold of the network reaches it
    return net


def test_one_threshold_takes_the_smallest_of_the_whole_network() -> None:
    net = two_layers()
    before = np.concatenate([layer.weight.detach().numpy().ravel() for layer in net])
    prune_global(net, 0.25)
    after = np.concatenate([layer.weight.detach().numpy().ravel() for layer in net])
    gone = np.zeros(len(before), bool)
    gone[np.argsort(np.abs(before))[: round(0.25 * len(before))]] = True
    assert np.array_equal(after == 0, gone)
    assert np.array_equal(after[~gone], before[~gone])


def test_both_ways_agree_with_torchs_own() -> None:
    for ours, theirs in (
        (prune_global, lambda net: prune.global_unstructured(
            [(layer, "weight") for layer in net], pruning_method=prune.L1Unstructured, amount=0.3
        )),
        (prune_by_layer, lambda net: [prune.l1_unstructured(layer, "weight", amount=0.3) for layer in net]),
    ):  # fmt: skip
        mine, reference = two_layers(), two_layers()
        ours(mine, 0.3)
        theirs(reference)
        for layer, other in zip(mine, reference, strict=True):
            assert torch.equal(layer.weight, other.weight)


def test_a_threshold_a_layer_takes_the_same_share_of_each() -> None:
    net = two_layers()
    prune_by_layer(net, 0.5)
    assert [float((layer.weight == 0).float().mean()) for layer in net] == pytest.approx([0.5, 0.5], abs=0.01)


def test_rounds_take_a_share_of_what_is_left() -> None:
    net = two_layers()
    for _ in range(3):
        prune_global(net, 0.5)
    assert zero_share(net) == pytest.approx(1 - 0.5**3, abs=0.01)


def test_2_4_keeps_the_two_largest_of_every_four_inputs_where_sparse_kernels_take_them() -> None:
    torch.manual_seed(0)
    shapes = {"taken": (32, 8, 3), "inputs": (24, 8, 1), "outputs": (32, 12, 1)}  # inputs, outputs, kernel
    net = nn.ModuleDict({name: nn.Conv2d(*shape) for name, shape in shapes.items()})
    net["depthwise"] = nn.Conv2d(32, 32, 3, groups=32)
    old = {name: layer.weight.detach().clone() for name, layer in net.items()}
    prune_2_4(net)
    before, after = old["taken"].numpy(), net["taken"].weight.detach().numpy()
    for out, row, column in np.ndindex(8, 3, 3):
        for start in range(0, 32, 4):
            four = slice(start, start + 4)
            kept = np.argsort(-np.abs(before[out, four, row, column]))[:2]
            assert np.array_equal(np.flatnonzero(after[out, four, row, column]), np.sort(kept))
    assert np.array_equal(after[after != 0], before[after != 0])
    for name in ("inputs", "outputs", "depthwise"):
        assert torch.equal(net[name].weight, old[name])
    assert all(type(layer) is nn.Conv2d and not layer._forward_pre_hooks for layer in net.values())


def test_zeros_stay_zero_under_adamw_with_weight_decay_while_the_rest_learns() -> None:
    net = two_layers()
    prune_global(net, 0.5)
    before = [layer.weight.detach().clone() for layer in net]
    keep_zeros(net)
    optimizer = torch.optim.AdamW(net.parameters(), 0.01, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.rand(2, 8, 5, 5)).square().mean().backward()
        optimizer.step()
    for layer, old in zip(net, before, strict=True):
        assert torch.equal(layer.weight == 0, old == 0)
        assert not torch.equal(layer.weight, old)
