"""`MultiTaskNet` with the segmentation head only, its logits returned as a plain tensor."""

from __future__ import annotations

from torch import Tensor

from distill_perception.strict import StrictModel
from training.models.multi_task import MultiTaskNet, count_parameters
from training.models.outputs import upsample
from training.models.spec import ModelSpec

__all__ = ["Segmenter", "count_parameters", "upsample"]


class Segmenter(MultiTaskNet):
    """`forward(images float [N,3,H,W], RGB, 0..255)` returns logits float [N,C,H/stride,W/stride]."""

    def __init__(self, spec: StrictModel, classes: int) -> None:
        super().__init__(ModelSpec.model_validate(spec.model_dump()), classes)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        logits = super().forward(images).logits
        assert logits is not None
        return logits
