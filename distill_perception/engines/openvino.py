"""OpenVINO: the fastest of the CPU engines on Intel and AMD (and ARM) machines; Intel GPUs too."""

import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle, TensorSpec, check_graph
from ..errors import EngineError
from .base import Engine, EngineSettings, Outputs

# Importing OpenVINO reports to its makers over the network, unless its telemetry package is missing: on a
# vehicle it counts as missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
try:
    import openvino as ov
except ImportError:  # reported by problem(), with the remedy
    ov = None


def problem(device: str) -> str | None:
    """Why OpenVINO cannot serve `device` (`cpu`, `gpu`, `gpu:N`) here; None when it can."""
    if ov is None:
        return "the openvino package is missing; pip install openvino"
    wanted = _device(device)
    if wanted == "CPU":
        return None
    found: list[str] = core().available_devices
    if wanted in found or any(item.startswith(f"{wanted}.") for item in found):
        return None
    return f"it finds no device '{device}' (it has: {', '.join(found).lower()}); install its driver"


def open_model(bundle: Bundle, settings: EngineSettings) -> Engine:
    """Compile a bundle's ONNX file."""
    return OpenVinoEngine(bundle, settings)


class OpenVinoEngine(Engine):
    """One compiled model and one inference request."""

    name = "openvino"

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        super().__init__(bundle, settings)
        file = bundle.model_path(self.precision)
        try:
            model = core().read_model(file)
        except RuntimeError as error:
            raise EngineError(f"openvino cannot read {file}: {_last_line(error)}") from error
        check_graph(
            bundle.manifest,
            [_spec(item) for item in model.inputs],
            [_spec(item) for item in model.outputs],
            _metadata(model),
        )
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if settings.threads and _device(settings.device) == "CPU":
            config["INFERENCE_NUM_THREADS"] = settings.threads
        try:
            compiled = core().compile_model(model, _device(settings.device), config)
            self._request: ov.InferRequest | None = compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"openvino cannot compile {file}: {_last_line(error)}") from error
        self._ports = {name: compiled.output(name) for name in self.output_names}
        version = ov.__version__.split("-", 1)[0]
        self.description = f"openvino {version}, {settings.device}, {self.precision}"

    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        if self._request is None:
            raise self._closed()
        try:
            results = self._request.infer({0: frames}, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise EngineError(f"openvino failed to run the model: {_last_line(error)}") from error
        return {name: results[port] for name, port in self._ports.items()}

    def close(self) -> None:
        self._request = None
        self._ports = {}


@cache
def core() -> "ov.Core":
    """One for the process, never closed.

    A Core gives the thread a signal stack of its own and takes it back when it ends. Where two overlap, the
    second restores the first one's, freed by then, and the next signal that Python handles is a segmentation
    fault (OpenVINO 2026.4).
    """
    return ov.Core()


def _device(device: str) -> str:
    return device.upper().replace(":", ".")


def _spec(port: "ov.Output") -> TensorSpec:
    shape = tuple(None if dim.is_dynamic else dim.get_length() for dim in port.partial_shape)
    dtype = np.dtype(port.element_type.to_dtype()).name
    return TensorSpec(port.any_name, dtype, shape)


def _metadata(model: "ov.Model") -> dict[str, str]:
    """The ONNX file's metadata_props, which OpenVINO's front end keeps as rt_info["framework"]."""
    if not model.has_rt_info("framework"):
        return {}
    entries: dict[str, Any] = model.get_rt_info("framework").value
    return {key: str(getattr(entry, "value", entry)) for key, entry in entries.items()}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
