"""The interface of all decoders."""

from __future__ import annotations

from torch import nn


class Decoder(nn.Module):
    """Joins an encoder's maps into one.

    `forward(features)` takes the five encoder maps at strides 2, 4, 8, 16, 32 (fine to coarse) and returns
    one map float [N, out_channels, H/stride, W/stride], sides rounded up. The constructor's first argument is
    the widths of the encoder's maps; the others are the keys of the decoder's section in the recipe.
    """

    out_channels: int
    stride: int
