"""Decoders: shapes on odd sizes, nothing left untrained, and what each is named after."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter

from training.models.decoders import DECODERS, build_decoder
from training.models.decoders.fcn8s import bilinear_upsampling
from training.models.decoders.segnet import unpool
from training.models.decoders.two_branch import PyramidPooling
from training.models.spec import DecoderSpec

CHANNELS = (8, 16, 24, 32, 40)


def features(height: int, width: int) -> list[torch.Tensor]:
    """Encoder maps of a picture, strides 2 to 32, sides rounded up."""
    return [
        torch.randn(2, c, -(-height // stride), -(-width // stride))
        for c, stride in zip(CHANNELS, (2, 4, 8, 16, 32), strict=True)
    ]


def decoder(name: str, **options: object) -> torch.nn.Module:
    spec = TypeAdapter(DecoderSpec).validate_python({"name": name, "width": 16, **options})
    return build_decoder(spec, CHANNELS)


@pytest.mark.parametrize(
    ("name", "options", "stride", "width"),
    [
        ("fpn", {}, 4, 16),
        ("fpn", {"dense": True, "detail": 8}, 2, 8),
        ("bifpn", {"repeats": 2}, 4, 16),
        ("bifpn", {"repeats": 0}, 4, 16),
        ("two_branch", {"blocks": 2}, 8, 16),
        ("fcn8s", {"hidden": 32}, 8, 16),
        ("segnet", {}, 2, 16),
        ("deeplabv3plus", {"low_level": 8}, 4, 16),
    ],
)
@pytest.mark.parametrize("size", [(64, 96), (90, 122)])
def test_map_has_the_stride_and_width_that_the_decoder_tells(
    name: str, options: dict[str, object], stride: int, width: int, size: tuple[int, int]
) -> None:
    net = decoder(name, **options).eval()
    joined = net(features(*size))
    assert (net.stride, net.out_channels) == (stride, width)
    assert tuple(joined.shape) == (2, width, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", ["fpn", "bifpn", "deeplabv3plus", "two_branch", "fcn8s", "segnet"])
def test_what_is_seen_does_not_move_where_the_height_is_no_multiple_of_32(name: str) -> None:
    """A picture that goes on by some rows has the same map far from its end: 1000 rows against 1024."""
    options = {"dilations": (1, 2, 3)} if name == "deeplabv3plus" else {}
    net = decoder(name, **options).eval()
    for key, layer in net.named_modules():
        if "scene" in key and isinstance(layer, torch.nn.Conv2d):  # the picture's mean may differ
            torch.nn.init.zeros_(layer.weight)
    whole = features(1024, 64)
    cut = [m[:, :, : -(-1000 // stride)] for m, stride in zip(whole, (2, 4, 8, 16, 32), strict=True)]
    with torch.no_grad():
        expected, found = net(whole), net(cut)
    rows = 400 // net.stride
    torch.testing.assert_close(found[:, :, :rows], expected[:, :, :rows], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", list(DECODERS))
def test_every_parameter_takes_part_in_training(name: str) -> None:
    net = decoder(name)
    joined = net(features(64, 96))
    (joined * torch.randn_like(joined)).sum().backward()
    idle = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # FCN's skips start at zero, but their gradient does not.
    assert idle == []


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "segnet"])
def test_every_map_that_the_decoder_joins_changes_its_answer(name: str) -> None:
    torch.manual_seed(0)
    net = decoder(name).eval()
    for layer in net.modules():  # FCN's skips start at zero
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    maps = features(64, 96)
    finest = {"fpn": 1, "bifpn": 1, "deeplabv3plus": 1, "two_branch": 2, "fcn8s": 2}[name]
    before = net(maps)
    for level in range(finest, 5):
        if name == "deeplabv3plus" and level == 2:
            continue  # the paper has no skip at stride 8
        changed = [m + (index == level) for index, m in enumerate(maps)]
        assert not torch.allclose(net(changed), before)


def test_learned_upsampling_begins_as_bilinear_interpolation() -> None:
    x = torch.randn(1, 3, 5, 7)
    up = bilinear_upsampling(3)(x)
    reference = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    # The border differs: a transposed convolution sees zeros there.
    assert torch.allclose(up[..., 1:-1, 1:-1], reference[..., 1:-1, 1:-1], atol=1e-6)


def test_unpooling_puts_values_where_the_maxima_were() -> None:
    pattern = torch.tensor([[[[1.0, 5.0, 0.0], [2.0, 3.0, 7.0], [4.0, 9.0, 6.0]]]])
    x = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]])
    assert unpool(x, pattern).tolist() == [[[[0, 10, 0], [0, 0, 20], [0, 30, 40]]]]


def test_a_constant_map_stays_constant_under_pyramid_pooling() -> None:
    """Pools leave padding out of their means; zeros counted in would darken the border."""
    pooling = PyramidPooling(4, 8).eval()
    layer = pooling.pooled[2]
    seen = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    pooling(torch.full((1, 4, 12, 15), 3.0))
    assert torch.allclose(seen[0], torch.full_like(seen[0], 3.0))


def test_deeplab_sees_farther_with_larger_dilations() -> None:
    """A point at distance 6 on the stride-16 map reaches the centre only through a branch of dilation 6."""

    def reach(dilations: tuple[int, ...]) -> bool:
        torch.manual_seed(0)
        net = decoder("deeplabv3plus", low_level=8, dilations=dilations).eval().pyramid
        x = torch.randn(1, CHANNELS[3] + CHANNELS[4], 17, 17, requires_grad=True)
        parts = [branch(x) for branch in net.branches]
        sum(part[..., 8, 8].sum() for part in parts).backward()
        return bool(x.grad[..., 8, 2].any())

    assert reach((6,))
    assert not reach((2,))
