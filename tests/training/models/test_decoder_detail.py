"""The decoder's level at stride 2."""

import torch

from training.models.segmenter import Segmenter
from training.recipe import ModelSpec


def logits_of(detail: int) -> torch.Tensor:
    spec = ModelSpec(pretrained=False, decoder_width=16, decoder_detail=detail)
    return Segmenter(spec, 11).eval()(torch.zeros(1, 3, 60, 90))


def test_detail_doubles_the_resolution_of_the_logits() -> None:
    assert logits_of(0).shape == (1, 11, 15, 23)
    assert logits_of(8).shape == (1, 11, 30, 45)
