"""The uniform quantization formula that every part of this package means by INT8.

    q = clamp(round(x / scale) + zero_point, least, greatest)        x ~ scale * (q - zero_point)

asymmetric: uint8, 0..255. scale = (high - low) / 255, zero_point = round(-low / scale), where the range
[low, high] is widened to hold 0, so that 0 (padding) is exact. symmetric: int8, -127..127, zero_point = 0,
scale = max(|low|, |high|) / 127. Rounding is to the nearest, ties to even, as ONNX's QuantizeLinear has it. A
value inside the range comes back within scale / 2, one outside it as the range's end. Nagel et al., "A White
Paper on Neural Network Quantization" (https://arxiv.org/abs/2106.08295), section 2.2.

Weights are symmetric with a scale for each output channel, activations have one scale a tensor. A channel's
range reaches to the sum of its two largest weights of one sign, so that no two of its integers sum up to more
than 128: CPUs without dot-product instructions (AVX2's VPMADDUBSW) add two products of bytes in 16 bits,
where 255 * 128 fits and more saturates in silence. It costs others at most one bit of eight.
"""

from __future__ import annotations

import torch
from torch import Tensor

ASYMMETRIC, SYMMETRIC = (0, 255), (-127, 127)
Range = tuple[float, float]  # least and greatest value
SMALLEST_SCALE = 2.0**-40  # of a tensor that is zero everywhere


def scale_and_zero_point(low: Tensor, high: Tensor, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Scale float32 and zero point int32 of ranges of any shape."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    if symmetric:
        scale = (torch.maximum(-low, high) / SYMMETRIC[1]).clamp(min=SMALLEST_SCALE)
        return scale, torch.zeros_like(scale, dtype=torch.int32)
    scale = ((high - low) / ASYMMETRIC[1]).clamp(min=SMALLEST_SCALE)
    return scale, (-low / scale).round().clamp(*ASYMMETRIC).int()


def simulate(x: Tensor, low: Tensor, high: Tensor, symmetric: bool) -> Tensor:
    """`x` quantized and brought back, with one range; gradients pass inside the range (straight-through)."""
    scale, zero_point = scale_and_zero_point(low, high, symmetric)
    return torch.fake_quantize_per_tensor_affine(
        x, scale, zero_point, *(SYMMETRIC if symmetric else ASYMMETRIC)
    )


def weight_range(weight: Tensor) -> Tensor:
    """Half the symmetric range of each output channel of a weight [O,I,kh,kw]: float32 [O], see above."""
    flat = weight.detach().flatten(1)
    two = min(2, flat.shape[1])
    return torch.maximum(*(signed.clamp(min=0).topk(two).values.sum(1) for signed in (flat, -flat)))


def simulate_weight(weight: Tensor) -> Tensor:
    """A convolution's weight [O,I,kh,kw] quantized and brought back, symmetric, a scale an output channel."""
    most = weight_range(weight)
    scale, zero_point = scale_and_zero_point(-most, most, symmetric=True)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, *SYMMETRIC)
