"""The network against published sizes and the shapes it promises."""

import pytest
import torch

from training.errors import TrainingError
from training.models.efficientnet_lite import EfficientNetLite, load_imagenet_weights
from training.models.segmenter import Segmenter, count_parameters, upsample
from training.recipe import ModelSpec

# Parameters of the whole classifiers, as the TensorFlow TPU repository's EfficientNet-Lite page lists them.
PUBLISHED_PARAMETERS = {"efficientnet_lite0": 4.7e6, "efficientnet_lite1": 5.4e6, "efficientnet_lite2": 6.1e6}
CLASSIFIER_PARAMETERS = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000


@pytest.mark.parametrize("variant", sorted(PUBLISHED_PARAMETERS))
def test_encoder_has_the_published_number_of_parameters(variant: str) -> None:
    encoder = EfficientNetLite(variant)
    head = CLASSIFIER_PARAMETERS + (encoder.channels[-1] - 320) * 1280
    assert count_parameters(encoder) + head == pytest.approx(PUBLISHED_PARAMETERS[variant], abs=0.06e6)


@pytest.mark.parametrize("variant", ["efficientnet_lite0", "efficientnet_lite2"])
def test_published_imagenet_weights_fit_and_give_sane_activations(variant: str) -> None:
    encoder = EfficientNetLite(variant).eval()
    load_imagenet_weights(encoder, variant)
    with torch.inference_mode():
        features = encoder(torch.rand(1, 3, 64, 96) * 2 - 1)
    assert [tuple(f.shape[2:]) for f in features] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert all(0.05 < f.std().item() < 20 for f in features)


def test_unknown_encoder_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="efficientnet_lite0"):
        EfficientNetLite("resnet900")


@pytest.mark.parametrize("size", [(64, 96), (90, 122)])
def test_logits_are_at_a_quarter_rounded_up_and_upsample_to_the_input(size: tuple[int, int]) -> None:
    model = Segmenter(ModelSpec(pretrained=False, decoder_width=16), classes=11).eval()
    with torch.inference_mode():
        logits = model(torch.rand(2, 3, *size) * 255)
    assert tuple(logits.shape) == (2, 11, -(-size[0] // 4), -(-size[1] // 4))
    assert tuple(upsample(logits, *size).shape) == (2, 11, *size)
