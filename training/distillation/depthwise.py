"""Depthwise convolutions of a mixed-precision step, where the CPU is slow at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class DepthwiseInFloat(TorchFunctionMode):
    """While entered, CPU autocast leaves depthwise convolutions in float32.

    Their backward pass in bfloat16 lacks a fast kernel in PyTorch 2 on x86: three to ten times float32's time
    for EfficientNet-Lite0's, two fifths of its whole training step. CUDA is not touched.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.conv2d and args[0].device.type == "cpu":
            groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
            if groups > 1 and torch.is_autocast_enabled("cpu"):
                with torch.autocast("cpu", enabled=False):
                    return func(args[0].float(), *args[1:], **kwargs)
        return func(*args, **kwargs)
