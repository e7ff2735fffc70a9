"""One pass through a network to see what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from training.distillation.features import FeatureCapture
from training.distillation.losses.base import LOGITS
from training.models.outputs import Outputs


@dataclass(frozen=True)
class Seen:
    """What a network gave: outputs, and captured maps by path; `logits` among them if there are any.

    Attributes:
        repeated: paths whose module ran more than once in that one pass.
    """

    outputs: Outputs
    maps: dict[str, Tensor]
    repeated: frozenset[str] = frozenset()

    @staticmethod
    def of(
        outputs: Outputs,
        maps: Mapping[str, Tensor] = MappingProxyType({}),
        repeated: frozenset[str] = frozenset(),
    ) -> Seen:
        """With the logits, if there are any, among the maps."""
        logits = {} if outputs.logits is None else {LOGITS: outputs.logits}
        return Seen(outputs, {**maps, **logits}, repeated)


@torch.no_grad()
def dry_run(model: nn.Module, capture: FeatureCapture, size: tuple[int, int]) -> Seen:
    """Pass one grey frame of `size` (height, width) in eval mode; `model` is left as it was."""
    modes = [(module, module.training) for module in model.modules()]
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        outputs = model.eval()(torch.full((1, 3, *size), 127.0, device=device))
    finally:
        for module, training in modes:
            module.training = training
    repeated = capture.repeated
    return Seen.of(outputs, capture.take(), repeated)
