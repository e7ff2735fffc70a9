"""SegFormer, MobileNetV2-DeepLabV3+, UperNet, DPT and other networks with one logit a class and pixel."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.class_mapping import ClassMapping
from training.teachers.huggingface.load import Checkpoint
from training.teachers.huggingface.preprocess import Preprocess, SizeRule


class SemanticTeacher(Teacher):
    """An `AutoModelForSemanticSegmentation`; `model` is the checkpoint's network."""

    def __init__(self, checkpoint: Checkpoint, mapping: ClassMapping, size: SizeRule) -> None:
        super().__init__(mapping.known, None)
        self.model = checkpoint.model
        self.preprocess = Preprocess(checkpoint.preprocessing, size)
        self.mapping = mapping
        self._config = checkpoint.config

    def predict(self, images: Tensor) -> TeacherOutputs:
        logits: Tensor = self.model(pixel_values=self.preprocess(images)).logits
        return TeacherOutputs(self.mapping.log_probs(logits.float().log_softmax(1)))

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "semantic",
            "config": self._config,
            "preprocessing": self.preprocess.config,
            "size": self.preprocess.size,
            "mapping": self.mapping.channels,
        }
