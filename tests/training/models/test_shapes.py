"""Shapes of pruned networks: written, read, and what does not fit is refused."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.tiny_nets import answers, tiny_net
from training.errors import TrainingError
from training.models.shapes import SHAPES, cut_to, read_shapes, shapes_of, write_shapes


def narrower() -> dict[str, list[int]]:
    """The first block's expanded channels, 24 of them, cut to 8."""
    shapes = shapes_of(tiny_net())
    block = "encoder._blocks.1"
    shapes[f"{block}._expand_conv"][0] = 8
    shapes[f"{block}._bn0"][0] = 8
    shapes[f"{block}._depthwise_conv"][0] = 8
    shapes[f"{block}._bn1"][0] = 8
    shapes[f"{block}._project_conv"][1] = 8
    return shapes


def test_cut_network_runs_has_these_shapes_and_stays_depthwise() -> None:
    model = tiny_net()
    cut_to(model, narrower())
    assert all(torch.isfinite(answer).all() for answer in answers(model))
    block = model.encoder._blocks[1]
    assert block._depthwise_conv.groups == block._depthwise_conv.in_channels == 8
    assert block._project_conv.in_channels == 8
    assert {name: list(value.shape) for name, value in model.state_dict().items() if "_bn1" in name}[
        "encoder._blocks.1._bn1.running_mean"
    ] == [8]


def test_transposed_convolutions_are_cut_though_their_weight_has_inputs_first() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(8, 6, 2), nn.ConvTranspose2d(6, 6, 2, groups=6))
    smaller = nn.Sequential(nn.ConvTranspose2d(8, 3, 2), nn.ConvTranspose2d(3, 3, 2, groups=3))
    cut_to(net, shapes_of(smaller))
    net.load_state_dict(smaller.state_dict())
    image = torch.rand(1, 8, 4, 4)
    torch.testing.assert_close(net(image), smaller(image))


def test_shapes_survive_the_file(tmp_path: Path) -> None:
    write_shapes(tmp_path, narrower())
    assert read_shapes(tmp_path) == narrower() == json.loads((tmp_path / SHAPES).read_text())
    assert read_shapes(tmp_path / "elsewhere") is None


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / SHAPES).write_text('["a"]')
    with pytest.raises(TrainingError, match=SHAPES):
        read_shapes(tmp_path)


def test_shapes_of_another_network_are_refused() -> None:
    wider = {**narrower(), "encoder._conv_stem": [64, 3, 3, 3]}
    with pytest.raises(TrainingError, match=r"'encoder\._conv_stem' is \[32, 3, 3, 3\]"):
        cut_to(tiny_net(), wider)
    with pytest.raises(TrainingError, match="'extra'"):
        cut_to(tiny_net(), {**narrower(), "extra": [1]})
