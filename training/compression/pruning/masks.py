"""Unstructured and 2:4 pruning: single weights become zero and stay zero while the rest is finetuned."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn


def prune_global(model: nn.Module, share: float) -> None:
    """Set the `share` of the non-zero convolution weights that are least in magnitude to zero, in place.

    One threshold for the whole network (Han et al. 2015, https://arxiv.org/abs/1506.02626).
    """
    weights = _weights(model)
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights])
    threshold = _threshold(magnitudes, share)
    for weight in weights:
        weight[weight.abs() <= threshold] = 0


def prune_by_layer(model: nn.Module, share: float) -> None:
    """The same with a threshold of its own for each convolution: each loses the same share."""
    for weight in _weights(model):
        weight[weight.abs() <= _threshold(weight.abs().flatten(), share)] = 0


def prune_2_4(model: nn.Module) -> None:
    """Keep the two largest of every four weights along the input channels, in place, as modelopt does it.

    The pattern of NVIDIA's sparse tensor cores (Mishra et al. 2021, https://arxiv.org/abs/2104.08378); only
    where the kernels take it, with inputs a multiple of 16 and outputs of 8: depthwise convolutions and the
    last layers stay dense.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about versions it was not tested with, and each layer left dense
        import modelopt.torch.sparsity as mts  # takes seconds

        model.to(memory_format=torch.contiguous_format)
        mts.export(mts.sparsify(model, "sparse_magnitude", config={"verbose": False}))


# pattern in the recipe -> what sets weights to zero
PATTERNS = {"global": prune_global, "layer": prune_by_layer, "2:4": lambda model, _: prune_2_4(model)}


def keep_zeros(model: nn.Module) -> None:
    """From now on no gradient reaches a convolution weight that is zero, so AdamW leaves it at zero."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            mask = layer.weight.detach() != 0
            if not bool(mask.all()):
                layer.weight.register_hook(lambda grad, mask=mask: grad * mask.to(grad.device))


def zero_share(model: nn.Module) -> float:
    """Share of zeros among the convolution weights."""
    weights = _weights(model)
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def _weights(model: nn.Module) -> list[Tensor]:
    return [layer.weight.detach() for layer in model.modules() if isinstance(layer, nn.Conv2d)]


def _threshold(magnitudes: Tensor, share: float) -> float:
    """Largest magnitude of those to go."""
    left = magnitudes[magnitudes > 0]
    count = round(share * len(left))
    return float(left.kthvalue(count).values) if count else 0.0
