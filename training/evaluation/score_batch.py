"""A batch through a network of this package, into an evaluator."""

from __future__ import annotations

import torch

from training.data.sample import Batch
from training.evaluation.evaluator import Evaluator
from training.models.detection.decode import decode_detections
from training.models.multi_task import MultiTaskNet


def score_batch(evaluator: Evaluator, model: MultiTaskNet, batch: Batch, max_detections: int) -> None:
    """Add what `model` says of a labelled batch; boxes are decoded as they are when deployed."""
    out = model(batch.images.float().contiguous(memory_format=torch.channels_last))
    if out.logits is not None:
        evaluator.update_masks(out.logits.float(), batch.masks, batch.has_mask)
    if out.detection is not None:
        height, width = batch.images.shape[-2:]
        found = decode_detections(out.detection, model.things, height, width, max_detections)
        ignored = list(zip(batch.ignored, batch.ignored_labels, strict=True))
        detected = list(zip(*found, strict=True))
        evaluator.update_boxes(detected, batch.boxes, batch.labels, batch.has_boxes, ignored)
