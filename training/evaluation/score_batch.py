"""A labelled batch and what a network says of it, into an evaluator."""

from __future__ import annotations

import torch
from torch import Tensor

from training.data.sample import Batch
from training.evaluation.evaluator import Evaluator
from training.models.detection.decode import decode_detections
from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs


def score_batch(evaluator: Evaluator, model: MultiTaskNet, batch: Batch, max_detections: int) -> None:
    """Add what `model` says of a labelled batch; boxes are decoded as they are when deployed."""
    out = model(batch.images.float().contiguous(memory_format=torch.channels_last))
    score_outputs(evaluator, out, model.things, batch, max_detections)


def score_outputs(
    evaluator: Evaluator, out: Outputs, things: Tensor, batch: Batch, max_detections: int
) -> None:
    """Add an answer to a labelled batch.

    Args:
        things: int64 [T] class ids of the heatmap's channels.
    """
    if out.logits is not None:
        evaluator.update_masks(out.logits.float(), batch.masks, batch.has_mask)
    if out.detection is not None:
        height, width = batch.images.shape[-2:]
        found = decode_detections(out.detection, things, height, width, max_detections)
        score_boxes(evaluator, list(zip(*found, strict=True)), batch)


def score_boxes(evaluator: Evaluator, found: list[tuple[Tensor, Tensor, Tensor]], batch: Batch) -> None:
    """Add detections: boxes float [K,4] x1, y1, x2, y2 in pixels, scores [K] and labels [K] of each frame."""
    ignored = list(zip(batch.ignored, batch.ignored_labels, strict=True))
    evaluator.update_boxes(found, batch.boxes, batch.labels, batch.has_boxes, ignored)
