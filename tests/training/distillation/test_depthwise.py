"""Depthwise convolutions stay in float32 in a mixed-precision step on the CPU; all others do not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training.distillation.depthwise import DepthwiseInFloat


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.rand((2, 8, 12, 12), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mixed", [True, False])
def test_depthwise_is_computed_in_float(frames: torch.Tensor, mixed: bool) -> None:
    weight = torch.rand((8, 1, 3, 3), generator=torch.Generator().manual_seed(2))
    alone = torch.stack([F.conv2d(frames[:, [i]], weight[[i]])[:, 0] for i in range(8)], 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed), DepthwiseInFloat():
        by_position = F.conv2d(frames, weight, None, 1, 0, 1, 8)
        by_name = F.conv2d(frames, weight, groups=8)
    for out in (by_position, by_name):
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, alone)


def test_other_layers_keep_their_precision_and_gradients_flow(frames: torch.Tensor) -> None:
    depthwise, pointwise = nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)
    with torch.autocast("cpu", torch.bfloat16):
        with DepthwiseInFloat():
            inside = depthwise(frames)
            out = pointwise(inside)
        after = depthwise(frames)
    assert (inside.dtype, out.dtype, after.dtype) == (torch.float32, torch.bfloat16, torch.bfloat16)
    out.float().sum().backward()
    grad = depthwise.weight.grad
    assert grad is not None
    assert grad.abs().sum() > 0
