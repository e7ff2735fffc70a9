"""MaskFormer, Mask2Former, OneFormer, EoMT: masks and their classes, merged into class probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from training.errors import TrainingError
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.class_mapping import ClassMapping
from training.teachers.huggingface.load import Checkpoint, source_of
from training.teachers.huggingface.preprocess import Preprocess, SizeRule
from training.teachers.log_probs import LOG_ZERO
from training.teachers.spec import MemberSpec


def query_log_probs(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    """Class log-probabilities of each pixel from Q mask queries.

    Semantic inference of MaskFormer (Cheng et al. 2021, section 3.4): s_c(x) = sum_q softmax(a_q)_c *
    sigmoid(m_q(x)), the softmax over the K classes and "no object", which is then left out. Then
    P(c | x) = s_c(x) / max(1, sum_c' s_c'(x)): where queries overlap, s is normalized; where no query claims
    a pixel, the rest of its probability stays missing, which says that nothing is known there.

    Args:
        class_logits: a, float [N,Q,K+1], the last column "no object".
        mask_logits: m, float [N,Q,h,w].

    Returns:
        float [N,K,h,w], at least `LOG_ZERO`.
    """
    classes = class_logits.float().softmax(-1)[..., :-1]
    with torch.autocast(class_logits.device.type, enabled=False):
        scores = torch.einsum("nqk,nqhw->nkhw", classes, mask_logits.float().sigmoid())
    scores = scores / scores.sum(1, keepdim=True).clamp(min=1.0)
    return scores.log().clamp(min=LOG_ZERO)


class UniversalTeacher(Teacher):
    """An `AutoModelForUniversalSegmentation`; `model` is the checkpoint's network.

    Args:
        task_tokens: what OneFormer takes beside the frame, int [1,77]; None for other networks.

    Raises:
        TrainingError: the network's output has no class queries (DETR's panoptic head).
    """

    task_tokens: Tensor | None

    def __init__(
        self, checkpoint: Checkpoint, mapping: ClassMapping, size: SizeRule, task_tokens: Tensor | None = None
    ) -> None:
        super().__init__(mapping.known, None)
        self.model: nn.Module = checkpoint.model
        self.preprocess = Preprocess(checkpoint.preprocessing, size)
        self.mapping = mapping
        self._place = checkpoint.place
        self._config = checkpoint.config
        self.register_buffer("task_tokens", task_tokens, persistent=False)

    def predict(self, images: Tensor) -> TeacherOutputs:
        pixels = self.preprocess(images)
        tokens = {} if self.task_tokens is None else {"task_inputs": self.task_tokens.expand(len(pixels), -1)}
        out = self.model(pixel_values=pixels, **tokens)
        if getattr(out, "class_queries_logits", None) is None:
            raise TrainingError(
                f"{self._place}: its output has no class queries; Mask2Former and OneFormer do"
            )
        log_probs = query_log_probs(out.class_queries_logits, out.masks_queries_logits)
        return TeacherOutputs(self.mapping.log_probs(log_probs))

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "universal",
            "config": self._config,
            "preprocessing": self.preprocess.config,
            "size": self.preprocess.size,
            "mapping": self.mapping.channels,
            "tokens": None if self.task_tokens is None else self.task_tokens.tolist(),
        }


def semantic_task_tokens(spec: MemberSpec, length: int) -> Tensor:
    """OneFormer's task input "the task is semantic", int64 [1,length], by the checkpoint's own tokenizer.

    Raises:
        TrainingError: the checkpoint has no tokenizer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(**source_of(spec))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"teacher.huggingface: {spec.huggingface}: OneFormer needs its tokenizer's files (vocab.json, "
            "merges.txt, tokenizer_config.json) beside the weights"
        ) from error
    words = tokenizer(
        ["the task is semantic"],
        padding="max_length",
        max_length=length,
        truncation=True,
        return_tensors="pt",
    )
    tokens: Tensor = words["input_ids"] * words["attention_mask"]
    return tokens
