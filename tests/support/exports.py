"""Exports that were made before, told by what the network is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
from torch import nn

from training.export.graph import DeployedNet


def once_each(export: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """`torch.onnx.export` that gives a deployed network's graph again if `folder` has it already.

    The smallest network takes it ten seconds of a CPU. Tests of exporting itself meet a new network anyway.
    """
    folder.mkdir(exist_ok=True)

    def exported(net: nn.Module, example: tuple[Any, ...], **options: Any) -> Any:
        if not isinstance(net, DeployedNet):
            return export(net, example, **options)
        known = folder / f"{_fingerprint(net, example, options)}.onnx"
        if not known.exists():
            own = known.with_suffix(f".{os.getpid()}")
            onnx.save(export(net, example, **options).model_proto, str(own))
            own.rename(known)  # tests in other processes find it whole or not at all
        return SimpleNamespace(model_proto=onnx.load(str(known)))

    return exported


def _fingerprint(net: nn.Module, example: tuple[Any, ...], options: dict[str, Any]) -> str:
    """Weights, and whatever else a module may compute by: its class and its own attributes."""
    internal = vars(nn.Module())
    found = hashlib.sha256(repr(([part.shape for part in example], sorted(options.items()))).encode())
    for name, module in net.named_modules():
        own = {key: value for key, value in sorted(vars(module).items()) if key not in internal}
        found.update(f"{name} {type(module)} {own}".encode())
    for name, value in net.state_dict().items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()
