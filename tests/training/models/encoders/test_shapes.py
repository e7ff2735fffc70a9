"""Encoders against published sizes and the shapes they promise."""

import pytest
import torch

from training.errors import TrainingError
from training.models.encoders import ENCODERS, build_encoder
from training.models.multi_task import count_parameters
from training.models.table import count_macs

CLASSES = 1000


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def conv_bn(inputs: int, outputs: int) -> int:
    return inputs * outputs + 2 * outputs


def classifier(name: str, width: float, last: int) -> int:
    """Parameters of the published classifier on `last` encoder channels."""
    if name == "squeezenet1_1":
        return linear(512, CLASSES) - SQUEEZENET_EXTRA_FIRE
    if name.startswith("mobilenet_v3"):
        hidden, features = (1280, 960) if name.endswith("large") else (1024, 576)
        hidden, features = int(hidden * width), int(features * width)
        return conv_bn(last, features) + linear(features, hidden) + linear(hidden, CLASSES)
    features = int(1280 * max(1.0, width)) if name == "mobilenet_v2" else 1280
    return conv_bn(last, features) + linear(features, CLASSES)


# The Fire module at stride 32, which the classifier lacks: squeeze to 64, expand to 256 by 1x1 and by 3x3.
SQUEEZENET_EXTRA_FIRE = linear(512, 64) + linear(64, 256) + linear(9 * 64, 256)

# torchvision's documentation lists these (num_params); that of width 0.75 is its constructor's.
TORCHVISION = [
    ("mobilenet_v2", 1.0, 3_504_872),
    ("mobilenet_v3_large", 1.0, 5_483_032),
    ("mobilenet_v3_large", 0.75, 3_377_576),
    ("mobilenet_v3_small", 1.0, 2_542_856),
    ("squeezenet1_1", 1.0, 1_235_496),
]
# In millions: the TensorFlow TPU repository's EfficientNet-Lite page; timm's benchmark tables for the others.
IN_MILLIONS = [
    ("efficientnet_lite0", 1.0, 4.7, 0.06),
    ("efficientnet_lite1", 1.0, 5.4, 0.06),
    ("efficientnet_lite2", 1.0, 6.1, 0.06),
    ("efficientnet_lite3", 1.0, 8.2, 0.06),
    ("efficientnet_lite4", 1.0, 13.0, 0.06),
    ("mobilenet_v2", 0.35, 1.68, 0.005),
    ("mobilenet_v2", 0.5, 1.97, 0.005),
    ("mobilenet_v2", 1.4, 6.11, 0.005),
]


def parameters_of_classifier(name: str, width: float) -> int:
    with torch.device("meta"):
        encoder = build_encoder(name, width)
    return count_parameters(encoder) + classifier(name, width, encoder.channels[-1])


@pytest.mark.parametrize(("name", "width", "published"), TORCHVISION)
def test_parameters_equal_torchvisions(name: str, width: float, published: int) -> None:
    assert parameters_of_classifier(name, width) == published


@pytest.mark.parametrize(("name", "width", "millions", "tolerance"), IN_MILLIONS)
def test_parameters_are_those_of_the_papers(
    name: str, width: float, millions: float, tolerance: float
) -> None:
    assert parameters_of_classifier(name, width) / 1e6 == pytest.approx(millions, abs=tolerance)


# Million MACs at 224x224: TensorFlow's mobilenet README for V2, torchvision's GFLOPS (two digits) for V3.
@pytest.mark.parametrize(
    ("name", "width", "head", "published", "tolerance"),
    [
        ("mobilenet_v2", 1.0, 320 * 1280 * 49 + 1280 * 1000, 300, 1),
        ("mobilenet_v2", 0.5, 160 * 1280 * 49 + 1280 * 1000, 97, 1),
        ("mobilenet_v2", 1.4, 448 * 1792 * 49 + 1792 * 1000, 582, 1),
        ("mobilenet_v3_large", 1.0, 160 * 960 * 49 + 960 * 1280 + 1280 * 1000, 220, 5),
        ("mobilenet_v3_small", 1.0, 96 * 576 * 49 + 576 * 1024 + 1024 * 1000, 60, 5),
    ],
)
def test_multiply_accumulates_are_the_published_ones(
    name: str, width: float, head: int, published: int, tolerance: int
) -> None:
    with torch.device("meta"):
        macs = count_macs(build_encoder(name, width), torch.empty(1, 3, 224, 224)) + head
    assert macs / 1e6 == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_maps_halve_five_times_rounded_up_with_the_widths_that_channels_tells(name: str) -> None:
    with torch.device("meta"):
        encoder = build_encoder(name)
        maps = encoder(torch.empty(2, 3, 97, 130))
    assert [tuple(m.shape[2:]) for m in maps] == [(49, 65), (25, 33), (13, 17), (7, 9), (4, 5)]
    assert tuple(m.shape[1] for m in maps) == encoder.channels


def test_half_width_makes_a_narrower_encoder() -> None:
    with torch.device("meta"):
        # MobileNetV2's table 2 halved and rounded to multiples of 8; 12 may not become 8, which is 33 % less.
        assert build_encoder("mobilenet_v2", 0.5).channels == (8, 16, 16, 48, 160)


def test_squeezenet_refuses_a_width_multiplier() -> None:
    with pytest.raises(TrainingError, match="squeezenet1_1 has no width multiplier"):
        build_encoder("squeezenet1_1", 0.5)


@pytest.mark.parametrize(
    ("name", "told"),
    [("mobilenetv3_small", r"did you mean 'mobilenet_v3_small'\?"), ("vit", "known: efficientnet_lite0, ")],
)
def test_an_unknown_encoder_is_told_the_nearest_or_all_known_names(name: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        build_encoder(name)
