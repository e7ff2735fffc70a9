"""ONNX Runtime: runs everywhere, on the CPU or (with the onnxruntime-gpu package) on TensorRT and CUDA."""

import ctypes.util
import os

import numpy as np
from numpy.typing import NDArray

from ..bundle import GRAPH_INPUT, Bundle, TensorSpec, check_graph
from ..errors import EngineError, first_line
from .base import Engine, EngineSettings, Outputs

# Importing it reports to its makers over the network; on a vehicle that is for the user to switch on.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
try:
    import onnxruntime as ort
except ImportError:  # reported by problem(), with the remedy
    ort = None

_DTYPES = {"float": "float32", "float16": "float16", "double": "float64"}
_CPU, _CUDA, _TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_LOG_ERRORS = 3  # warnings about graph clean-up are not for the vehicle's log


def problem(device: str) -> str | None:
    """Why ONNX Runtime cannot serve `device` (`cpu`, `cuda`, `cuda:N`) here; None when it can."""
    if ort is None:
        return "the onnxruntime package is missing; pip install onnxruntime"
    kind, _, index = device.partition(":")
    if kind == "cpu" and not index:
        return None
    if kind not in ("cuda", "gpu") or not (index.isdigit() or not index):
        return f"it knows no device '{device}'; use cpu, cuda or cuda:N"
    if _CUDA not in ort.get_available_providers():
        return f"device '{device}' needs its CUDA build; pip install onnxruntime-gpu in place of onnxruntime"
    return None


def open_model(bundle: Bundle, settings: EngineSettings) -> Engine:
    """Load a bundle's ONNX file."""
    return OnnxRuntimeEngine(bundle, settings)


class OnnxRuntimeEngine(Engine):
    """One InferenceSession."""

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        super().__init__(bundle, settings)
        file = bundle.model_path(self.precision)
        if self.precision == "fp8" and settings.device == "cpu":
            raise EngineError(
                "onnxruntime has no fp8 on the CPU; choose another precision, or openvino, slowly"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_ERRORS
        # Spinning threads would take the cores from the node's own threads between two frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if settings.device != "cpu" and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # CUDA and cuDNN of pip's nvidia-* packages, which the loader does not find
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                str(file), options, providers=_providers(settings.device)
            )
        except Exception as error:  # onnxruntime's own share no base class
            raise EngineError(f"onnxruntime cannot load {file}: {first_line(error)}") from error
        provider = self._session.get_providers()[0]
        if provider == _CPU and settings.device != "cpu":  # it falls back with no more than a log line
            raise EngineError(
                f"onnxruntime could not start {_CUDA} and would run on the CPU; "
                "check that its driver and libraries are installed, or use device 'cpu'"
            )
        meta = self._session.get_modelmeta()
        check_graph(
            bundle.manifest,
            [_spec(item) for item in self._session.get_inputs()],
            [_spec(item) for item in self._session.get_outputs()],
            meta.custom_metadata_map,
        )
        on = "" if provider == _CPU else f" {provider.removesuffix('ExecutionProvider')}"
        self.description = f"onnxruntime {ort.__version__}{on}, {settings.device}, {self.precision}"

    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        if self._session is None:
            raise self._closed()
        try:
            values = self._session.run(list(self.output_names), {GRAPH_INPUT: frames})
        except Exception as error:
            raise EngineError(f"onnxruntime failed to run the model: {first_line(error)}") from error
        return dict(zip(self.output_names, values, strict=True))

    def close(self) -> None:
        self._session = None


def _providers(device: str) -> list[object]:
    """On a GPU: TensorRT if its library is installed (its Python package need not be), CUDA for the rest.

    TensorRT's provider keeps no engines here, as it would load them unverified: each start builds anew.
    """
    if device == "cpu":
        return [_CPU]
    options = {"device_id": device.partition(":")[2] or "0"}
    tensorrt = _TENSORRT in ort.get_available_providers() and ctypes.util.find_library("nvinfer")
    return [*([(_TENSORRT, options)] if tensorrt else []), (_CUDA, options), _CPU]


def _spec(item: "ort.NodeArg") -> TensorSpec:
    inner = item.type.removeprefix("tensor(").removesuffix(")")
    return TensorSpec(item.name, _DTYPES.get(inner, inner), tuple(item.shape))
