"""The losses on labels: masks and boxes, whichever a frame has."""

from __future__ import annotations

from torch import Tensor

from training.data.sample import Batch
from training.distillation.losses import cross_entropy, lovasz_softmax
from training.distillation.processes import process_weight
from training.models.detection.loss import BOX_WEIGHT, HEATMAP_WEIGHT, detection_losses
from training.models.detection.targets import detection_targets
from training.models.outputs import Outputs, upsample
from training.recipe import LossSpec

# Lovasz-softmax sorts its pixels, so it is shown a ninth of them, where they are in the picture. 3 has no
# divisor in common with a stride, so that all places within the network's cells take their turn.
LOVASZ_STEP = 3


def label_losses(
    spec: LossSpec, out: Outputs, batch: Batch, void_id: int, class_weights: Tensor, things: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum over the tasks that the network does, and each unweighted term by name.

    With several processes each term is scaled so that their average is the mean over all frames, whatever
    share of void pixels, rare classes or boxes each has; but for Lovasz-softmax, which sorts its pixels: it
    is the average over processes, as it is over batches.

    Args:
        class_weights: float [C], of the cross-entropy. things: int64 [T], class ids of the heatmap.
    """
    terms: dict[str, Tensor] = {}
    if out.logits is not None:
        logits, height, width = out.logits.float(), *batch.masks.shape[-2:]
        full = upsample(logits, height, width)
        ce = cross_entropy(full, batch.masks, void_id, class_weights)
        labelled_weight = class_weights[batch.masks[batch.masks != void_id]].sum()
        terms["cross_entropy"] = ce * process_weight(labelled_weight, 1e-6)
        if spec.lovasz > 0:
            some = (..., slice(1, None, LOVASZ_STEP), slice(1, None, LOVASZ_STEP))
            terms["lovasz"] = lovasz_softmax(full[some], batch.masks[some], void_id)
    if out.detection is not None:
        maps = out.detection
        shape = (maps.heatmap.shape[-2], maps.heatmap.shape[-1])
        labelled = batch.boxes, batch.labels, batch.has_boxes
        ignored = batch.ignored, batch.ignored_labels
        targets = detection_targets(*labelled, things, shape, maps.stride, *ignored)
        found = detection_losses(maps, targets)
        found["heatmap"] = found["heatmap"] * process_weight((targets.heatmap[targets.known] == 1).sum(), 1)
        found["box"] = found["box"] * process_weight(targets.weight[targets.known].sum(), 1e-4)
        terms |= found
    weights = label_weights(spec)
    total = sum((weights[name] * value for name, value in terms.items()), class_weights.new_zeros(()))
    return total, terms


def label_weights(spec: LossSpec) -> dict[str, float]:
    """What each term of `label_losses` is multiplied by."""
    return {
        "cross_entropy": spec.cross_entropy,
        "lovasz": spec.lovasz,
        "heatmap": spec.detection * HEATMAP_WEIGHT,
        "box": spec.detection * BOX_WEIGHT,
    }
