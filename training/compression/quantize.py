"""Post-training quantization of an exported graph to INT8, by ONNX Runtime's quantizer.

Weights symmetric per output channel, activations asymmetric per tensor: q = clamp(round(x / scale) + zero
point), x ~ scale * (q - zero point). Ranges are the least and greatest value seen on calibration frames
(Nagel et al., "A White Paper on Neural Network Quantization", https://arxiv.org/abs/2106.08295, sections 2.2
and 3.1). The result holds explicit QuantizeLinear/DequantizeLinear pairs, which the engines fuse into integer
kernels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from distill_perception.bundle import GRAPH_INPUT
from training.errors import TrainingError

# What runs in integers. Normalization, resizing and argmax stay in float.
QUANTIZED_OPERATORS = ["Conv", "Add", "Clip"]


def quantize_onnx(source: Path, target: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Write the INT8 form of `source` to `target`.

    Args:
        source: deployed graph, float32.
        target: file to write.
        frames: calibration frames, uint8 [H,W,3] in the graph's size and channel order; some dozens that
            look like what the camera will see.

    Raises:
        TrainingError: no calibration frame.
    """
    reader = _Frames(frames)
    if reader.empty:
        raise TrainingError("INT8 quantization needs calibration frames and the training folder gave none")
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTIZED_OPERATORS,
            calibrate_method=CalibrationMethod.MinMax,
        )


class _Frames(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Feeds the calibrator one frame at a time."""

    def __init__(self, frames: Iterable[NDArray[np.uint8]]) -> None:
        self._frames: Iterator[NDArray[np.uint8]] = iter(frames)
        self._next = next(self._frames, None)
        self.empty = self._next is None

    def get_next(self) -> dict[str, Any] | None:
        frame, self._next = self._next, next(self._frames, None)
        return None if frame is None else {GRAPH_INPUT: np.ascontiguousarray(frame[None])}
