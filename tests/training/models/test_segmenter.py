"""The network with the segmentation head alone: shapes it promises, and the decoder's level at stride 2."""

import pytest
import torch

from training.models.segmenter import Segmenter, upsample
from training.models.spec import ModelSpec


@pytest.mark.parametrize("size", [(64, 96), (90, 122)])
def test_logits_are_at_a_quarter_rounded_up_and_upsample_to_the_input(size: tuple[int, int]) -> None:
    model = Segmenter(ModelSpec(pretrained=False, decoder_width=16), classes=11).eval()
    with torch.inference_mode():
        logits = model(torch.rand(2, 3, *size) * 255)
    assert tuple(logits.shape) == (2, 11, -(-size[0] // 4), -(-size[1] // 4))
    assert tuple(upsample(logits, *size).shape) == (2, 11, *size)
