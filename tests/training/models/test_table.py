"""The table of parameters and multiply-accumulates."""

import io

import torch
from rich.console import Console
from torch import nn

from training.models.decoders import DECODERS
from training.models.encoders import ENCODERS
from training.models.spec import FpnSpec, ModelSpec
from training.models.table import count_macs, family, model_row, render

SPEC = ModelSpec(
    encoder="mobilenet_v3_small", pretrained=True, decoder=FpnSpec(width=16), tasks=("detection",)
)


def test_macs_of_a_convolution_are_those_worked_out_by_hand() -> None:
    conv = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)
    # 8 channels x 5x7 places, each 3 inputs of its group x 9 weights.
    assert count_macs(conv, torch.empty(1, 6, 10, 14)) == 8 * 5 * 7 * 3 * 9


def test_a_segmentation_heads_macs_are_those_worked_out_by_hand() -> None:
    spec = ModelSpec(encoder="mobilenet_v3_small", pretrained=False, decoder=FpnSpec(width=16))
    row = model_row("net", spec, classes=11, things=0, size=(64, 96))
    places = (64 // 4) * (96 // 4)
    assert row.head_macs == places * (16 * 9 + 16 * 16 + 16 * 11)


def test_cost_of_convolutions_grows_with_the_area() -> None:
    # Not exactly fourfold: squeeze-excite and the decoder's context do the same work at any size.
    small, large = (model_row("net", SPEC, 11, 3, size) for size in ((128, 128), (256, 256)))
    assert 3.9 < large.macs / small.macs <= 4
    assert large.parameters == small.parameters


def test_rows_need_no_weights_file() -> None:
    """The section asks for ImageNet weights that no package carries; the cost is known all the same."""
    row = model_row("net", SPEC, 11, 3, (360, 480))
    assert row.macs == row.encoder_macs + row.decoder_macs + row.head_macs
    assert row.decoder == "fpn 16"


def test_the_family_names_every_encoder_and_decoder() -> None:
    specs = family()
    assert {spec.encoder for spec in specs} == set(ENCODERS)
    assert {spec.decoder.name for spec in specs} == set(DECODERS)


def test_the_rendered_table_tells_models_sizes_and_convention() -> None:
    row = model_row("my student", SPEC, 11, 3, (360, 480))
    console = Console(width=80, file=io.StringIO())
    console.print(render([row], (360, 480)))
    text = console.file.getvalue()
    assert "480x360" in text
    assert "my student" in text
    assert "…" not in text, "a common terminal has room for it"
    assert f"{row.macs / 1e9:.2f}" in text
    assert f"{row.parameters / 1e6:.2f}" in text
    assert "FLOPs are twice" in text
