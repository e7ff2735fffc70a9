"""How much a channel matters, by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch_pruning as tp

from training.data.sample import Batch
from training.distillation.module import DistillationModule

# magnitude: L2 norm of a group's weights (Li et al. 2017, https://arxiv.org/abs/1608.08710).
# taylor: |weight x gradient|, the first-order change of the loss (Molchanov et al. 2019,
#   https://arxiv.org/abs/1906.10771); wants gradients, see `add_gradients`.
# bn_scale: batch norm's scale (Liu et al., "Network Slimming" 2017, https://arxiv.org/abs/1708.06519).
IMPORTANCE = {
    "magnitude": tp.importance.GroupMagnitudeImportance,
    "taylor": tp.importance.GroupTaylorImportance,
    "bn_scale": tp.importance.BNScaleImportance,
}


def add_gradients(module: DistillationModule, batches: Iterable[Batch]) -> None:
    """Leave the sum of the gradients of the recipe's whole loss, its teacher's part too, in the network.

    Batch norm stays as deployed, dropout off.
    """
    module.model.eval().zero_grad()
    with torch.enable_grad():
        for batch in batches:
            module.losses(batch)[0].backward()
