"""Quantization-aware training: convolutions that see rounded inputs and weights, as the engine will.

Jacob et al. 2018 (https://arxiv.org/abs/1712.05877), section 3. A weight's scale follows from the weight in
every step; with a scale an output channel, folding the batch norm behind it changes the scale but not the
integers, so batch norm may stay as it is. An input's range is a moving average of what batches show.

Rounded weights shift the mean of what a convolution gives, of a depthwise one most, as few errors do not
cancel (Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section 3.2). Batch norm takes the shift
out again, once its statistics are those of the rounded network: `settle_norms`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from training.compression.uniform import Range, simulate, simulate_weight

RANGE = "input_range"
MOMENTUM = 0.05


class QatConv2d(nn.Conv2d):
    """A convolution that simulates INT8; its parameters have the same names as without.

    Attributes:
        input_range: float32 [2], least and greatest input; both 0 until training has seen a batch.
    """

    input_range: Tensor
    symmetric: bool

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        if self.training:
            self._see(x.detach())
        low, high = self.input_range.unbind()
        return self._conv_forward(
            simulate(x, low, high, self.symmetric), simulate_weight(self.weight), self.bias
        )

    def _see(self, x: Tensor) -> None:
        batch = torch.stack((x.amin().clamp(max=0), x.amax().clamp(min=0)))
        fresh = (self.input_range == 0).all()
        self.input_range.copy_(torch.where(fresh, batch, self.input_range.lerp(batch, MOMENTUM)))


def add_fake_quant(model: nn.Module, symmetric: bool) -> None:
    """Let every convolution of `model` simulate INT8, in place."""
    for layer in model.modules():
        if type(layer) is nn.Conv2d:
            layer.__class__ = QatConv2d
            layer.symmetric = symmetric
            layer.register_buffer(RANGE, torch.zeros(2))


@torch.no_grad()
def settle_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take batch norms' statistics anew, in place: their means over `batches`, with INT8 simulated.

    Wu & Johnson 2021, "PreciseBN", https://arxiv.org/abs/2105.07576, section 3; inputs' ranges are seen too.

    Args:
        batches: images as the model takes them, float32 [N,3,H,W] each; at least one.
    """
    training = model.training
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's cumulative average
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | QatConv2d):
            layer.train()
    for images in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


def take_fake_quant(model: nn.Module) -> dict[str, Range]:
    """Make the convolutions plain again, in place; returns the ranges that training has seen, by layer."""
    ranges = {}
    for name, layer in model.named_modules():
        if isinstance(layer, QatConv2d):
            low, high = layer.input_range.tolist()
            ranges[name] = (low, high)
            del layer.input_range
            layer.__class__ = nn.Conv2d
    return ranges
