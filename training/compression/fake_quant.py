"""Quantization-aware training: convolutions that see rounded inputs and weights, as the engine will.

Jacob et al. 2018 (https://arxiv.org/abs/1712.05877), section 3. A weight's scale follows from the weight in
every step; with a scale an output channel, folding the batch norm behind it changes the scale but not the
integers, so batch norm may stay as it is. An input's range is a moving average of what batches show.

Rounded weights shift the mean of what a convolution gives, of a depthwise one most, as few errors do not
cancel (Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section 3.2). The batch norm behind it takes the
shift out again: `settle_norms`, before training begins.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from training.compression.layer_names import matching
from training.compression.uniform import Range, simulate, simulate_weight
from training.errors import TrainingWarning

RANGE = "input_range"
MOMENTUM = 0.05


class QatConv2d(nn.Conv2d):
    """A convolution that simulates INT8; its parameters have the same names as without.

    Attributes:
        input_range: float32 [2], least and greatest input; both 0 until training has seen a batch.
        passed_over: whether there was a batch without a finite range, bool or bool [].
    """

    input_range: Tensor
    symmetric: bool
    passed_over: Tensor | bool = False

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
        finite = batch.isfinite().all()  # what is not would stay in the moving average for good
        fresh = (self.input_range == 0).all()
        moved = torch.where(fresh, batch, self.input_range.lerp(batch, MOMENTUM))
        self.input_range.copy_(torch.where(finite, moved, self.input_range))
        self.passed_over = self.passed_over | ~finite

    def train(self, mode: bool = True) -> QatConv2d:
        """As any layer's; the end of training, or a pause, is when batches that were passed over are told of.

        To ask in every batch would make a GPU wait at every layer.
        """
        if not mode and bool(self.passed_over):
            warnings.warn(  # of the same words each time, so that it is shown once
                "qat: batches with infinite or NaN values at convolutions were passed over for their ranges; "
                "where the loss is not finite either, lower the learning rate",
                TrainingWarning,
                stacklevel=2,
            )
        return super().train(mode)


def add_fake_quant(model: nn.Module, symmetric: bool, float_layers: Sequence[str] = ()) -> None:
    """Let every convolution of `model` simulate INT8, in place.

    Args:
        float_layers: but for these, by name or pattern.

    Raises:
        TrainingError: one of them names none.
    """
    layers = {name: layer for name, layer in model.named_modules() if type(layer) is nn.Conv2d}
    kept = matching(list(layers), float_layers, "qat_float_layers")
    for name, layer in layers.items():
        if name not in kept:
            layer.__class__ = QatConv2d
            layer.symmetric = symmetric
            layer.register_buffer(RANGE, torch.zeros(2))


@torch.no_grad()
def settle_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the shift of rounded weights and inputs out of batch norms' means, in place.

    "Bias correction" with frames (Nagel et al., see above, section 4.2): a batch norm's mean moves by as much
    as the mean of what it gets differs from that without INT8. Layers are corrected in the order in which
    they work, so that none corrects for another. Ranges of inputs are seen on the way.

    Args:
        batches: images as the model takes them, float32 [N,3,H,W] each; at least one.
    """
    training = model.training
    plain = copy.deepcopy(model).eval()
    take_fake_quant(plain)
    model.eval()
    hooks: list[RemovableHandle] = []
    for name, norm in plain.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            hooks += _keep_mean(norm, model.get_submodule(name))
    for layer in model.modules():
        if isinstance(layer, QatConv2d):
            layer.train()
    for images in batches:
        plain(images)
        model(images)
    for hook in hooks:
        hook.remove()
    model.train(training)


def _keep_mean(plain: nn.BatchNorm2d, norm: nn.Module) -> list[RemovableHandle]:
    """From now on `norm`'s mean is the one of `plain` and by how much their inputs' means differ so far."""
    wanted: list[Tensor] = []  # of each batch
    shifts: list[Tensor] = []

    def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        wanted.append(inputs[0].mean((0, 2, 3)))

    def correct(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shifts.append(inputs[0].mean((0, 2, 3)) - wanted[-1])
        norm.running_mean = plain.running_mean + torch.stack(shifts).mean(0)

    return [plain.register_forward_pre_hook(see), norm.register_forward_pre_hook(correct)]


def take_fake_quant(model: nn.Module) -> dict[str, Range]:
    """Make the convolutions plain again, in place; returns the ranges that training has seen, by layer."""
    ranges = {}
    for name, layer in model.named_modules():
        if isinstance(layer, QatConv2d):
            low, high = layer.input_range.tolist()
            ranges[name] = (low, high)
            del layer.input_range, layer.symmetric
            vars(layer).pop("passed_over", None)
            layer.__class__ = nn.Conv2d
    return ranges
