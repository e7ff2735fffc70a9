"""How much a channel matters, by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch_pruning as tp

from training.data.sample import Batch
from training.distillation.module import DistillationModule

# magnitude: L2 norm of a group's weights (Li et al. 2017, https://arxiv.org/abs/1608.08710).
# taylor: |weight x gradient|, the first-order change of the loss if the weight were 0, summed over a group's
#   weights and over batches (after Molchanov et al. 2019, https://arxiv.org/abs/1906.10771); wants gradients,
#   see `add_gradients`.
# bn_scale: batch norm's scale (Liu et al., "Network Slimming" 2017, https://arxiv.org/abs/1708.06519).
IMPORTANCE = {
    "magnitude": tp.importance.GroupMagnitudeImportance,
    "taylor": tp.importance.GroupTaylorImportance,
    "bn_scale": tp.importance.BNScaleImportance,
}


def add_gradients(module: DistillationModule, batches: Iterable[Batch]) -> None:
    """Leave gradients whose product with the weights is the sum over batches of |weight x gradient|.

    Of the recipe's whole loss, its teacher's part too. Each batch counts by itself: a trained network's
    gradients point one way in one batch and the other way in the next, and their sum is next to nothing.
    Batch norm stays as deployed, dropout off.
    """
    model = module.model.eval()
    change = {parameter: torch.zeros_like(parameter) for parameter in model.parameters()}
    with torch.enable_grad():
        for batch in batches:
            model.zero_grad()
            module.losses(batch)[0].backward()
            for parameter, total in change.items():
                if parameter.grad is not None:
                    total += (parameter.detach() * parameter.grad).abs()
    for parameter, total in change.items():
        parameter.grad = torch.where(parameter == 0, 0, total / parameter.detach())
