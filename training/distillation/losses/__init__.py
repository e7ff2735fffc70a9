"""Losses on labels and losses of distillation, one family a file."""

from training.distillation.losses.cross_entropy import cross_entropy, enet_class_weights
from training.distillation.losses.jaccard import jaccard_metric
from training.distillation.losses.lovasz import lovasz_softmax

__all__ = ["cross_entropy", "enet_class_weights", "jaccard_metric", "lovasz_softmax"]
