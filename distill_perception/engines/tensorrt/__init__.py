"""TensorRT 10, 11 and RTX: engines built from the bundle's ONNX on first start, cached, run on an NVIDIA GPU.

`build.py` makes engines (RTX needs no GPU for that), `store.py` keeps them, `engine.py` runs them,
`layers.py` tells what became of a network.
"""

from .engine import open_model, problem

__all__ = ["open_model", "problem"]
