"""Which TensorRT is installed: `tensorrt` (pip, apt, JetPack) is preferred to `tensorrt_rtx`."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import EngineError

_log = logging.getLogger(__name__)

OLDEST = (10, 1)  # of `tensorrt`; earlier ones lack calls that are used here
REMEDY = (
    "pip install tensorrt-rtx-cu13 (GeForce and RTX GPUs on x86-64), pip install tensorrt (other GPUs), "
    "or apt's python3-libnvinfer (JetPack has it)"
)


@dataclass(frozen=True)
class Library:
    """An importable TensorRT.

    Attributes:
        name: `tensorrt` or `tensorrt_rtx`.
        version: e.g. `10.3.0`.
        trt: the module.
    """

    name: str
    version: str
    trt: Any

    @property
    def is_rtx(self) -> bool:
        """RTX builds without a GPU, finishes the kernels when it starts, and times nothing."""
        return self.name == "tensorrt_rtx"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def find_library() -> Library:
    """The installed TensorRT.

    Raises:
        EngineError: none, or too old; with the remedy.
    """
    reasons = []
    for name in ("tensorrt", "tensorrt_rtx"):
        try:
            trt = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        except Exception as error:  # whatever a broken installation raises: other engines may do
            reasons.append(f"{name} cannot be imported ({error})")
            continue
        library = Library(name, str(trt.__version__), trt)
        if not library.is_rtx and version_key(library.version) < OLDEST:
            reasons.append(f"{library} is too old, {'.'.join(map(str, OLDEST))} or newer is needed")
            continue
        return library
    found = f" ({'; '.join(reasons)})" if reasons else ""
    raise EngineError(f"no TensorRT for Python is installed{found}; {REMEDY}")


def version_key(text: str) -> tuple[int, ...]:
    """`10.3.0.26` -> (10, 3, 0, 26), for comparison."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def start(kind: Any, logger: Any, library: Library) -> Any:
    """TensorRT's `Builder` or `Runtime`.

    Raises:
        EngineError: it does not start, with another CUDA version than the driver knows for instance.
    """
    try:
        return kind(logger)
    except (TypeError, RuntimeError) as error:  # pybind11's of a factory that gives nothing, or of C++
        reason = logger.errors[-1] if logger.errors else str(error)
        raise EngineError(f"engine tensorrt: {library} does not start: {reason}") from error


def make_logger(library: Library, tell_layers: Callable[[str], None] | None = None) -> Any:
    """TensorRT's messages: errors are kept in `.errors`, warnings go to the debug log, the rest nowhere.

    Args:
        tell_layers: gets the message that lists a built engine's layers.
    """
    trt = library.trt

    class Logger(trt.ILogger):  # type: ignore[misc,name-defined]  # a base that exists at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.WARNING:
                _log.debug("%s: %s", library.name, message)
            elif tell_layers is not None and message.startswith("Layers:"):
                tell_layers(message)

    return Logger()
