"""Takes the shift that rounded weights cause out of a convolution's bias.

Rounding moves a weight by d, and what the convolution gives by conv(x, d). The mean of that over frames and
positions is no zero where few weights meet an input that is never negative, as in a depthwise layer. "Bias
correction" takes the mean out of the bias (Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section
4.2). A convolution is linear: conv(mean x, d), averaged over positions, is that mean, borders included.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn.functional import conv2d, pad

from training.compression.uniform import simulate_weight


def correct_biases(
    graph: onnx.GraphProto, means: Mapping[str, NDArray[np.float32]], names: Collection[str]
) -> None:
    """Correct the biases of some convolutions for INT8 weights, in place; one without a bias gets one.

    Args:
        means: of the convolutions' inputs over frames, float32 [C,H,W], by tensor.
        names: of the convolutions' nodes.
    """
    constants = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.name not in names:
            continue
        weight = torch.from_numpy(numpy_helper.to_array(constants[node.input[1]]).copy())
        bias = torch.zeros(len(weight))
        if len(node.input) > 2:
            bias = torch.from_numpy(numpy_helper.to_array(constants[node.input[2]]).copy())
        mean = torch.from_numpy(means[node.input[0]])
        corrected = bias - _shift(node, simulate_weight(weight) - weight, mean)
        del node.input[2:]
        node.input.append(f"{node.output[0]}.corrected_bias")
        graph.initializer.append(numpy_helper.from_array(corrected.numpy(), node.input[2]))


def _shift(node: onnx.NodeProto, change: Tensor, mean: Tensor) -> Tensor:
    """Mean of what a change of the weights [O,I,kh,kw] adds to each output channel: [O]."""
    how = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    top, left, bottom, right = how.get("pads", (0, 0, 0, 0))
    output = conv2d(
        pad(mean[None], (left, right, top, bottom)),
        change,
        stride=tuple(how.get("strides", (1, 1))),
        dilation=tuple(how.get("dilations", (1, 1))),
        groups=how.get("group", 1),
    )
    return output.mean((0, 2, 3))
