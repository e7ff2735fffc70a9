"""ONNX Runtime on this machine's processor, for looking into graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def cpu_session(path: Path, **settings: Any) -> Any:
    """An `InferenceSession` that keeps its warnings to itself; `settings` are those of `SessionOptions`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name, value in settings.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
